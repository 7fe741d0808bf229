"""Races and lost answers that an attacker found; each broke a promise once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from commands import RequeueSeparation, StartSeparation
from domain.aggregate import Recorded
from domain.errors import Unavailable
from handlers.operating.redriving import redrive, release_followers
from handlers.projector import Projector
from infra.operations import Parked
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.catch_up import Reading, anew, catch_up
from projections.doorbell import Doorbell, ring
from projections.generations import Catalogue
from projections.ports import HEAD
from projections.projection import Projection
from projections.sweeping import Target, sweep
from projections.switching import drop, roll_back
from tests.projections.test_catch_up import batch, history, sweep_all
from tests.projections.test_rebuild import rebuild
from tests.world import World

STREAM = "job-j"


@pytest.fixture
def world() -> World:
    made = World()
    made.sign_up()
    made.ready_asset()
    made.queued_job()
    return made


def bells(world: World, stream: str = STREAM) -> list[Doorbell]:
    return [ring(c) for c in world.store.read(stream)]


def deliver(projector: Projector, *rung: Doorbell) -> None:
    for bell in rung:
        assert projector(batch(bell)) == {"batchItemFailures": []}


def version(world: World) -> int:
    row = world.rows.head("jobs@1", STREAM)
    return row.version if row else 0


def rejecting(since: int) -> dict[str, Projection[Any]]:
    """Code that takes nothing from that version on."""

    def apply(view: Any, recorded: Recorded) -> list[Any]:
        if recorded.version >= since:
            raise ValueError("poison")
        return JOBS_VIEW.apply(view, recorded)

    return {"jobs": replace(JOBS_VIEW, apply=apply)}


def parked(world: World) -> list[Parked]:
    return list(world.parked.list("jobs"))


def test_a_repair_is_not_undone_by_whoever_remembers_the_row_before(world: World) -> None:
    projector = world.projector()
    deliver(projector, *bells(world))
    place = ("jobs@1", STREAM, HEAD)
    right = world.rows.rows[place]
    wrong = msgspec.structs.replace(right, body=right.body.replace('"u"', '"thief"'))
    world.rows.rows[place] = wrong
    world.do(StartSeparation("j", "w"))
    other = world.projector()
    deliver(other, bells(world)[-1])  # builds on the wrong row, and remembers what it wrote
    assert b"thief" in world.rows.rows[place].body.encode()
    anew(JOBS_VIEW, STREAM, world.reading, 1)
    world.do(RequeueSeparation("j", "again"))
    deliver(other, bells(world)[-1])
    assert version(world) == 3
    assert "thief" not in world.rows.rows[place].body


def test_a_sweep_releases_what_it_could_follow(world: World) -> None:
    world.do(StartSeparation("j", "w"))
    deliver(world.projector(rejecting(2)), *bells(world))
    assert [p.version for p in parked(world)] == [2]
    sweep([Target(JOBS_VIEW, 1)], world.reading)
    assert release_followers(world.parked, world.reading, "jobs") == 1
    assert parked(world) == []


def test_a_stale_entry_holds_nothing_up(world: World) -> None:
    """A slow projector of old code parks a stream that others have long followed."""
    world.do(StartSeparation("j", "w"))
    deliver(world.projector(rejecting(2)), *bells(world))
    catch_up(JOBS_VIEW, STREAM, world.reading)
    assert parked(world) != []
    world.do(RequeueSeparation("j", "again"))
    world.do(StartSeparation("j", "w2"))
    # Only the first of two new doorbells comes: the other was acknowledged while it was parked.
    deliver(world.projector(), bells(world)[2])
    assert version(world) == 4
    assert parked(world) == []


def test_what_is_noted_during_a_redrive_is_not_lost(world: World) -> None:
    world.do(StartSeparation("j", "w"))
    deliver(world.projector(rejecting(2)), *bells(world))
    (entry,) = parked(world)
    release = world.parked.release

    def noted_before(known: Parked) -> bool:
        world.parked.release = release  # type: ignore[method-assign]
        world.do(RequeueSeparation("j", "again"))
        assert world.parked.note(known, 3, 0)  # a projector that saw it parked acknowledges
        return release(known)

    world.parked.release = noted_before  # type: ignore[method-assign,assignment]
    assert redrive(world.parked, world.reading, entry, 0) is None
    assert version(world) == 3
    assert parked(world) == []


def test_one_row_that_the_table_refuses_does_not_keep_the_others_back() -> None:
    world = history(5)
    writes = world.rows.write

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.rows, name)

        def write(self, head: Any, *rest: Any) -> bool:
            if head.stream == "credits-v":
                raise Unavailable("too large")
            return writes(head, *rest)

    reading = Reading(world.store, Refusing(), world.generations)
    with pytest.raises(Unavailable, match="1 rows were not written: credits-v: too large"):
        sweep([Target(CREDITS_VIEW, 1)], reading)
    assert world.rows.head("credits@1", "credits-u") is not None
    assert world.rows.head("credits@1", "credits-w") is not None


def test_an_index_that_breaks_parks_the_stream_and_no_more(world: World) -> None:
    def index(view: Any) -> Any:
        if view.status == "running":
            raise KeyError("status")
        return JOBS_VIEW.index(view)

    world.do(StartSeparation("j", "w"))
    deliver(world.projector({"jobs": replace(JOBS_VIEW, index=index)}), *bells(world))
    assert version(world) == 1
    assert [(p.version, p.error) for p in parked(world)] == [(2, "KeyError: 'status'")]


class Deaf:
    """Generations whose writes stand while their answers get lost: a client sends again."""

    def __init__(self, world: World) -> None:
        self._behind = world.generations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def replace(self, projection: str, new: Catalogue) -> bool:
        """It stands, and the second try finds that it moved."""
        self._behind.replace(projection, new)
        return False


def test_a_lost_answer_neither_rolls_forward_nor_loses_a_flip() -> None:
    world = history(5)
    sweep_all(world.reading)
    deaf = Reading(world.store, world.rows, Deaf(world))
    flipping = rebuild(world)
    plain = flipping._update

    def lossy(change: Callable[[Catalogue], Catalogue]) -> Catalogue:
        flipping.reading = deaf
        try:
            return plain(change)
        finally:
            flipping.reading = world.reading

    flipping._flip, whole = (lambda report: None), flipping._flip  # type: ignore[method-assign]
    report = flipping.run()
    flipping._update = lossy  # type: ignore[method-assign]
    whole(report)
    assert world.generations.live("credits") == 2
    roll_back(CREDITS_VIEW, deaf, 1)
    assert world.generations.live("credits") == 1


def test_a_rollback_during_the_proof_is_not_flipped_over() -> None:
    """The proof was of another generation than the one that would be replaced."""
    world = history(5)
    sweep_all(world.reading)
    assert rebuild(world).run().flipped
    row = world.rows.rows["credits@1", "credits-u", HEAD]
    world.rows.rows["credits@1", "credits-u", HEAD] = msgspec.structs.replace(row, owner="thief")
    once = [True]

    def progress(step: Any) -> None:
        if step.phase == "prove" and step.done and once:
            once.clear()
            roll_back(CREDITS_VIEW, world.reading, 5)

    report = rebuild(world, progress=progress).run()
    assert not report.flipped
    assert report.previous == 1
    assert [d.found for d in report.proof.unexpected] == ["thief"]


def test_a_commit_between_the_two_looks_of_a_proof_is_no_difference() -> None:
    world = history(5)
    sweep_all(world.reading)
    heads = world.rows.head
    late = [True]

    class Quick:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.rows, name)

        def heads(self, generation: str, streams: Any) -> Any:
            found = world.rows.heads(generation, streams)
            if generation == "credits@1":  # the live row is at once newer than the other
                sweep([Target(CREDITS_VIEW, 1)], world.reading)
            return found

        def head(self, generation: str, stream: str) -> Any:
            found = heads(generation, stream)
            if late and generation == "credits@2" and stream == "credits-late":
                late.clear()
                world.queued_job("another", "late", "alate")
                sweep([Target(CREDITS_VIEW, 1)], world.reading)
            return found

    world.sign_up("late")
    world.ready_asset("late", "alate")
    reading = Reading(world.store, Quick(), world.generations)
    report = rebuild(world, reading=reading).run()
    assert report.proof.unexpected == []
    assert report.flipped


def test_what_a_frozen_process_left_of_a_generation_that_is_gone_can_be_dropped() -> None:
    world = history(5)
    sweep_all(world.reading)
    assert rebuild(world).run().flipped
    drop(CREDITS_VIEW, world.reading, 1, lambda: None)
    sweep([Target(CREDITS_VIEW, 1)], world.reading)  # it does not come to life again
    assert world.rows.head("credits@1", "credits-u") is None
    left = world.rows.rows["credits@2", "credits-u", HEAD]
    ghost = msgspec.structs.replace(left, generation="credits@1")
    world.rows.rows["credits@1", "credits-u", HEAD] = ghost
    assert drop(CREDITS_VIEW, world.reading, 1, lambda: None) == 1
    assert world.rows.head("credits@2", "credits-u") is not None


def test_stuck_streams_are_told_before_their_segment_is_noted() -> None:
    """Killed between the two, the next run would not look at that segment again."""
    world = history(5)
    sweep_all(world.reading)

    def picky(view: Any, recorded: Recorded) -> list[Any]:
        if recorded.stream == "credits-v":
            raise TypeError("never seen")
        return CREDITS_VIEW.apply(view, recorded)

    told: list[str] = []
    running = rebuild(
        world, replace(CREDITS_VIEW, apply=picky), parked=lambda s: told.append(s.stream)
    )
    noted: list[list[str]] = []
    running._note = lambda *_: noted.append(list(told))  # type: ignore[method-assign]
    running.run()
    assert noted[-1] == ["credits-v"]
