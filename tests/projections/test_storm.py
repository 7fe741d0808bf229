"""100,000 commits whose messages are lost, doubled and shuffled: no row is behind after a sweep."""

from __future__ import annotations

import random

import msgspec
import pytest

import projections
from domain.commit import Commit, Meta, Tip
from domain.credits import CreditsGranted
from domain.job import SeparationRequested, SeparationStarted, StageRecorded
from projections.doorbell import envelope, ring
from projections.sweeping import Target, sweep
from tests.world import World

COMMITS = 100_000
STREAMS = 5_000


@pytest.mark.slow
def test_after_the_sweep_no_row_is_behind() -> None:
    chance = random.Random(100_000)
    world = World()
    written = _history(world, chance)
    assert len(written) == COMMITS
    bells = [ring(c) for c in written if chance.random() > 0.01]
    bells += chance.choices(bells, k=len(bells) // 20)
    chance.shuffle(bells)
    projector = world.projector()
    for start in range(0, len(bells), 10):
        records = [
            {"messageId": str(n), "body": envelope(bell)}
            for n, bell in enumerate(bells[start : start + 10])
        ]
        assert projector({"Records": records}) == {"batchItemFailures": []}
    swept = sweep([Target(p, 1) for p in projections.ALL.values()], world.reading)
    assert swept.healed > 0  # some last messages were lost
    for projection in projections.ALL.values():
        moved = [c for c in written if projection.covers(c.stream) and projection.moves(c.types)]
        tips = {c.stream: c.last for c in moved}
        heads = {
            row.stream: row.version
            for row in world.rows.rows.values()
            if row.generation == projection.generation(1) and row.key == "head"
        }
        assert heads.keys() == tips.keys()
        assert all(heads[stream] >= tip for stream, tip in tips.items())


def _history(world: World, chance: random.Random) -> list[Commit]:
    """Commits as commands make them, put without loading each stream first."""
    tips: dict[str, Tip] = {}
    commits = []
    for number in range(COMMITS):
        world.clock.time += 1
        job = chance.random() < 0.8
        name = chance.randrange(STREAMS)
        stream = f"job-job_{name}" if job else f"credits-usr_{name}"
        tip = tips.get(stream) or Tip(stream)
        event = _job_event(tip, name) if job else CreditsGranted("u", f"g{number}", "signup", 1)
        meta = Meta(f"cmd_{number}", "storm")
        commit = Commit(
            stream=stream, first=tip.version + 1, last=tip.version + 1,
            types=(type(event).__name__,), events=msgspec.json.encode([event]).decode(),
            cmd=meta.cmd, t=world.clock.time, actor=meta.actor, prev=tip.hash,
        ).sealed()  # fmt: skip
        tips[stream] = Tip(stream, commit.last, commit.hash, commit.t)
        commits.append(commit)
        world.store.put([commit])
    return commits


def _job_event(tip: Tip, name: int) -> object:
    match tip.version:
        case 0:
            return SeparationRequested(
                f"usr_{name}", "ast", "key", "two", ("vocals",), "flac", 44100, 44100, 2, 1, "p"
            )
        case 1:
            return SeparationStarted(f"usr_{name}", 1, "worker")
        case _:
            return StageRecorded(f"usr_{name}", 1, "decode", tip.version)
