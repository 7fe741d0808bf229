"""100,000 commits whose messages are lost, doubled and shuffled: no row is behind after a sweep."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import structlog

import projections
from domain.commit import Commit
from handlers.projector.__main__ import build
from handlers.sweeper.__main__ import build_healing
from infra.bootstrap import Application
from infra.event_store.dynamodb import to_item
from projections.ports import HEAD, Rows
from projections.sweeping import Target, sweep
from tests import storm
from tests.world import World

COMMITS, STREAMS = 100_000, 5_000
DONE: dict[str, object] = {"batchItemFailures": []}


def none_is_behind(rows: Rows, written: Sequence[Commit]) -> None:
    for projection in projections.ALL.values():
        moved = [c for c in written if projection.covers(c.stream) and projection.moves(c.types)]
        tips = {c.stream: c.last for c in moved}
        found = rows.scan(projection.generation(1))
        heads = {row.stream: row.version for row in found if row.key == HEAD}
        assert heads.keys() == tips.keys()
        assert all(heads[stream] >= tip for stream, tip in tips.items())


@pytest.mark.slow
def test_in_memory() -> None:
    chance = random.Random(1)
    world = World()
    written = storm.history(COMMITS, STREAMS, chance)
    for commit in written:
        world.store.put([commit])
    projector = world.projector()
    for batch in storm.batches(storm.delivered(written, chance)):
        assert projector(batch) == DONE
    swept = sweep([Target(p, 1) for p in projections.ALL.values()], world.reading)
    assert swept.healed > 0  # some last messages were lost
    none_is_behind(world.rows, written)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_on_the_emulator(application: Application) -> None:
    chance = random.Random(2)
    written = storm.history(COMMITS, STREAMS, chance)
    seed(application, written)
    projector = build(application, structlog.get_logger())
    for batch in storm.batches(storm.delivered(written, chance)):
        assert projector(batch) == DONE
    swept = build_healing(application, structlog.get_logger()).heal()
    assert swept.healed > 0
    none_is_behind(application.rows, written)


def seed(application: Application, commits: Sequence[Commit]) -> None:
    """Put commits as they are, 25 a call."""
    client, table = application.client("dynamodb"), application.settings.events_table
    for start in range(0, len(commits), 25):
        puts = [{"PutRequest": {"Item": to_item(c)}} for c in commits[start : start + 25]]
        while puts:
            answer = client.batch_write_item(RequestItems={table: puts})
            puts = answer["UnprocessedItems"].get(table, [])
