from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from handlers.cli import leftovers
from infra.local.lock import DataLock


def test_only_what_nobody_holds_any_more_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held, killed, starting, stale, other = (
        tmp_path / name for name in ("demo-held", "demo-killed", "demo-new", "demo-old", "else")
    )
    for place in (held, killed, starting, stale, other):
        place.mkdir()
    with DataLock(killed / "stack"):
        pass
    hour_ago = time.time() - 3600
    os.utime(stale, (hour_ago, hour_ago))
    (tmp_path / "demo-link").symlink_to(other)
    with DataLock(held / "stack"):
        leftovers.remove("demo-", "stack/lock")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["demo-held", "demo-link", "demo-new", "else"]
