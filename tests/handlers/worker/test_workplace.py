"""Where songs in progress lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Invalid
from handlers.worker.workplace import Workplace


def test_a_place_that_cannot_be_written_to_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    for root in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/splitsound")):
        with pytest.raises(Invalid, match=f"cannot write to {root} .*SPLITSOUND_WORK_DIRECTORY"):
            Workplace(root)


def test_a_place_is_made_and_left_empty(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "new" / "place")
    with place.directory("job") as directory:
        assert directory.is_dir()
    place.close()
    assert not list(place.root.iterdir())
