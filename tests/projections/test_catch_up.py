"""Any interleaving, duplication and loss of doorbells gives the same rows."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import projections
from commands import (
    AbandonSeparation,
    CancelSeparation,
    CompleteSeparation,
    FailSeparation,
    RecordStage,
    RefundSeparation,
    RequeueSeparation,
    StartSeparation,
)
from domain.errors import SplitSoundError, Unavailable
from domain.stems import StemFile
from infra.memory_rows import MemoryRows
from infra.memory_table import MemoryTable
from infra.operations import TableGenerations
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.catch_up import Reading, catch_up
from projections.doorbell import Doorbell, envelope, parse, ring
from projections.folding import fold, piece
from projections.ports import Row
from projections.query import at_least
from projections.sweeping import Target, sweep
from tests.world import World

STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


def history(seed: int, steps: int = 40) -> World:
    """A random history of three users, their uploads, jobs and credits."""
    world, chance = World(seed=seed, grant=60), random.Random(seed)
    for user in "uvw":
        world.sign_up(user)
        world.ready_asset(user, f"a{user}")
    for step in range(steps):
        world.clock.time += chance.randrange(5000)
        _one_step(world, chance, step)
    return world


def _one_step(world: World, chance: random.Random, step: int) -> None:
    user, job = chance.choice("uvw"), f"j{chance.randrange(6)}"
    owned = f"{user}{job}"
    actions: list[Any] = [
        lambda: world.queued_job(owned, user, f"a{user}"),
        lambda: world.do(StartSeparation(owned, f"w{step}")),
        lambda: world.do(RecordStage(owned, world.job(owned).attempt, "decode", step)),
        lambda: world.do(CompleteSeparation(owned, world.job(owned).attempt, STEMS, 0.0)),
        lambda: world.do(FailSeparation(owned, None, "decode", "ffmpeg_failed", "")),
        lambda: world.do(CancelSeparation(user, owned)),
        lambda: world.do(RequeueSeparation(owned, "once more")),
        lambda: world.do(AbandonSeparation(owned, "hopeless")),
        lambda: world.do(RefundSeparation(owned, "it hisses")),
    ]
    with suppress(SplitSoundError):  # refusals are part of a history; they append nothing
        chance.choice(actions)()


Rows = dict[tuple[str, str, str], Row]


def in_order(world: World) -> Rows:
    """The rows that one doorbell after the other gives."""
    rows = MemoryRows()
    reading = Reading(world.store, rows, TableGenerations(MemoryTable()))
    sweep_all(reading)
    return rows.rows


def said(rows: Rows) -> Rows:
    """Without the versions of heads that may stay behind events that move nothing."""
    lagging = {p.generation(1) for p in projections.ALL.values() if p.moved_by}
    return {
        place: msgspec.structs.replace(row, version=0) if place[0] in lagging else row
        for place, row in rows.items()
    }


def sweep_all(reading: Reading) -> None:
    """Every projection's first generation."""
    sweep([Target(p, 1) for p in projections.ALL.values()], reading)


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False), st.floats(0, 1))
def test_any_delivery_gives_the_same_rows(seed: int, chance: random.Random, loss: float) -> None:
    world = history(seed)
    bells = [ring(c) for c in world.commits()]
    delivered = [b for b in bells if chance.random() > loss]
    delivered += chance.choices(bells, k=len(bells) // 3)
    chance.shuffle(delivered)
    projector = world.projector()
    for bell in delivered:
        assert projector(batch(bell)) == {"batchItemFailures": []}
    sweep_all(world.reading)  # heals what was lost altogether
    assert said(world.rows.rows) == said(in_order(world))


def batch(bell: Doorbell) -> dict[str, Any]:
    return {"Records": [{"messageId": "m", "body": envelope(bell)}]}


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_two_projectors_at_once_write_each_commit_once(seed: int, other: int) -> None:
    """The second projector acts between any read and write of the first."""
    world, chance = history(seed), random.Random(other)
    bells = [ring(c) for c in world.commits()]
    rows = _Interrupted(world.rows)
    reading = Reading(world.store, rows, world.generations)

    def interrupt() -> None:
        bell = chance.choice(bells)
        for projection in projections.ALL.values():
            if projection.covers(bell.stream):
                catch_up(projection, bell.stream, world.reading, [bell])

    rows.interrupt = interrupt
    for bell in bells:
        for projection in projections.ALL.values():
            if projection.covers(bell.stream):
                catch_up(projection, bell.stream, reading, [bell])
    assert world.rows.rows == in_order(world)


class _Interrupted:
    """Rows that let somebody else act before each write."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows
        self.interrupt: Any = None

    def write(self, *args: Any) -> bool:
        self.interrupt()
        return self._rows.write(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


def test_a_lost_head_write_is_repeated_with_the_same_rows() -> None:
    """A crash between the lines and the head leaves lines that are written again."""
    world = history(3)
    expected = in_order(world)
    for row in expected.values():
        if row.key != "head":
            world.rows.rows[row.generation, row.stream, row.key] = row
    sweep_all(world.reading)
    assert world.rows.rows == expected


def test_a_doorbell_ahead_of_the_store_is_not_acknowledged() -> None:
    world = World()
    world.sign_up()
    ahead = Doorbell("credits-u", 5, 5, ("CreditsGranted",), 0)
    with pytest.raises(Unavailable):
        catch_up(CREDITS_VIEW, "credits-u", world.reading, [ahead])


def test_whoever_wrote_reads_what_they_wrote_without_a_projector() -> None:
    world = World()
    world.sign_up()
    world.ready_asset()
    world.queued_job()
    view = at_least(JOBS_VIEW, "job-j", world.reading)
    assert view is not None
    assert view.view.status == "queued"
    (position,) = world.do(StartSeparation("j", "w"))
    stale = at_least(JOBS_VIEW, "job-j", world.reading)
    fresh = at_least(JOBS_VIEW, "job-j", world.reading, min_version=position.version)
    assert stale is not None
    assert fresh is not None
    assert (stale.view.status, fresh.view.status) == ("queued", "running")
    assert at_least(JOBS_VIEW, "job-none", world.reading) is None


def test_the_statement_adds_up_line_by_line() -> None:
    world = history(7)
    sweep_all(world.reading)
    for user in "uvw":
        lines = world.rows.lines("credits@1", f"credits-{user}", 1000).rows
        balance = 0
        for row in reversed(lines):
            entry = msgspec.json.decode(row.body)
            balance += entry["change"]
            assert entry["balance"] == balance
        assert balance == world.account(user).available(0)


def test_a_doorbell_survives_its_envelope() -> None:
    bell = ring(history(1).commits()[0])
    assert parse(envelope(bell)) == bell


def test_large_commits_ring_without_their_events() -> None:
    commit = history(1).commits()[0]
    large = msgspec.structs.replace(commit, events="[" + " " * 20_000 + "]")
    assert bytes(ring(large).events) == b"[]"


def test_events_that_move_nothing_move_nothing() -> None:
    """A head may stay behind them, so they must not change what it says."""
    world = history(8, steps=200)
    for projection in (p for p in projections.ALL.values() if p.moved_by):
        known = {event.event_name() for event in projection.aggregate.events}
        assert projection.moved_by < known
        for commit in world.commits():
            if projection.covers(commit.stream) and not projection.moves(commit.types):
                pieces = [piece(c) for c in world.store.read(commit.stream)]
                before = [p for p in pieces if p.last < commit.first]
                upto = [p for p in pieces if p.last <= commit.last]
                views = [fold(projection, "", commit.stream, p).head for p in (before, upto)]
                if views[0] is None:
                    continue  # there is no head yet that could stay behind
                assert views[1] is not None
                assert views[0].body == views[1].body
