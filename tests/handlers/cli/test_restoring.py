"""Another place, empty: the events come back, rows are folded from them, and everything adds up.

What the README's runbook "Restore" does after a point-in-time recovery, but for the recovery.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

import projections
from commands import AdjustCredits, FailSeparation
from infra.bootstrap import Application
from infra.local.provision import provision
from infra.local.stack import adopted
from infra.settings import from_environment
from projections.leveling import level
from tests.conftest import Cloud
from tests.handlers.cli.operators import WHY, do, some_work, splitsound


def rows(application: Application) -> dict[tuple[str, str, str], str]:
    """What people read, by projection and place; versions may lag where nothing moved the row."""
    found: dict[tuple[str, str, str], str] = {}
    for projection in projections.ALL.values():
        number = application.operating.generations.live(projection.name)
        for row in application.rows.scan(projection.generation(number)):
            found[projection.name, row.stream, row.key] = row.body
    return found


@pytest.mark.long
def test_events_come_back_and_everything_adds_up(
    application: Application, cloud: Cloud, tmp_path: Path, capsys: Any
) -> None:
    some_work(application, 4)
    do(application, FailSeparation("job_1", None, "queue", "worker_lost", "Nobody came."))
    do(application, AdjustCredits("usr_2", 500, "for the trouble"))
    level(application.operating, application.clock.now)
    before, exported = rows(application), tmp_path / "events.jsonl"
    assert splitsound(capsys, "events", "export", str(exported)).code == 0

    made = msgspec.structs.asdict(provision(cloud.access, {"Stage": f"r{uuid.uuid4().hex[:10]}"}))
    parts = {f"SPLITSOUND_{name.upper()}": str(value) for name, value in made.items()}
    keys = {"SPLITSOUND_KEYS": str(application.settings.keys)}
    with adopted({**cloud.environment(), **parts, **keys}):
        restored = Application(from_environment(), "restored")
        assert rows(restored) == {}
        done = splitsound(capsys, "events", "import", str(exported))
        assert done.code == 0, done.err
        again = splitsound(capsys, "events", "import", str(exported))
        assert again.code == 0, "importing twice is harmless"
        for name in projections.ALL:
            assert splitsound(capsys, "projections", "rebuild", name, *WHY).code == 0
            verified = splitsound(capsys, "projections", "verify", name)
            assert verified.code == 0, verified.out
        assert rows(restored) == before
        assert splitsound(capsys, "audit", "check").code == 0
        assert splitsound(capsys, "audit", "verify").code == 0
        assert restored.queue("short").depth() == 0, "a restore wakes no worker"
