"""What a rebuild costs and writes, on the emulator: rows and the catalogue, nothing else."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from commands import SignUp, execute
from commands.operations import Pause
from domain.commit import Meta
from domain.errors import Refused
from handlers.operating.rebuilding import assemble, has_ended, owner, paced
from infra.bootstrap import Application
from infra.metering import Units, item_size, started
from infra.pacing import Pace
from projections import CREDITS_VIEW
from projections.leveling import level
from projections.rebuild import Progress, Rebuild

USERS, SEGMENTS = 12, 4


@pytest.fixture
def filled(application: Application) -> Application:
    for number in range(USERS):
        meta = Meta(application.ids.fresh("cmd"), "test")
        execute(application.context, SignUp(f"u{number}", "development", "a@example.com"), meta)
    level(application.operating, application.clock.now)
    return application


def assembled(application: Application, pace: Pace, progress: Any = lambda _: None) -> Rebuild:
    rebuild = assemble(application, CREDITS_VIEW, pace, progress, segments=SEGMENTS, workers=2)
    rebuild.settle = lambda: None  # nobody else is here
    return rebuild


def items(application: Application, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = application.client("dynamodb").scan(TableName=table)["Items"]
    return found


def test_folding_writes_each_row_once_and_reads_each_event_once(filled: Application) -> None:
    pace, folded = Pace(), Units()

    def heard(progress: Progress) -> None:
        if progress.phase == "prove" and not folded.writes:
            folded.reads, folded.writes = pace.spent.reads, pace.spent.writes

    assert assembled(filled, pace, heard).run().flipped
    rows = list(filled.rows.scan("credits@2"))
    assert len(rows) == 2 * USERS  # a head and a statement line each
    # A head stands in the index of owners too; lines stand in none.
    assert folded.writes == USERS * (2 + 1)
    segments = [list(paced(filled, Pace()).history.scan(n, SEGMENTS)) for n in range(SEGMENTS)]
    assert sum(map(len, segments)) == 2 * USERS
    total = sum(map(item_size, items(filled, filled.settings.events_table)))
    least = 0.5 * started(total, 4096)
    # Half a unit per 4 KB of events, and a page begun per segment. No row is read: the conditional
    # write tells when somebody was faster.
    assert least <= folded.reads <= least + 0.5 * SEGMENTS


def test_a_rebuild_fires_nothing(filled: Application) -> None:
    events = items(filled, filled.settings.events_table)
    assert assembled(filled, Pace()).run().flipped
    assert items(filled, filled.settings.events_table) == events
    for queue in ("separation", "probe", "projections"):
        assert filled.queue(queue).depth() == 0


def test_a_paused_projection_is_not_rebuilt(filled: Application) -> None:
    meta = Meta(filled.ids.fresh("cmd"), "op")
    execute(filled.context, Pause("projection:credits", "the table is hot"), meta)
    with pytest.raises(Refused, match="credits is paused"):
        assemble(filled, CREDITS_VIEW, Pace(), lambda _: None)


def test_an_owner_of_this_machine_is_known_to_have_ended() -> None:
    mine = owner()
    host = mine.split(":")[0]
    assert not has_ended(mine)
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert has_ended(f"{host}:{ended.pid}:abc")
    assert not has_ended("elsewhere:1:abc")
    assert not has_ended("nonsense")
