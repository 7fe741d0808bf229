"""A rebuild can be killed anywhere, meets traffic and rivals, and proves before it flips."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.aggregate import Recorded
from domain.errors import Refused, Unavailable
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.catch_up import Reading, catch_up
from projections.doorbell import ring
from projections.generations import DROPPING, LEASE_MS, RebuildRunning
from projections.jobs import JobView, apply
from projections.leveling import noted
from projections.ports import HEAD, Row
from projections.projection import Projection
from projections.rebuild import Rebuild, Report
from projections.sweeping import Target, sweep
from projections.switching import drop, roll_back
from tests.projections.test_catch_up import batch, history, sweep_all
from tests.world import World


class Killed(BaseException):
    """The process ends here."""


class Killing:
    """Rows or generations; the ``when``-th write of all that share ``writes`` kills.

    after: once the write stands, else before.
    """

    def __init__(self, behind: Any, writes: Iterator[int], when: int, after: bool) -> None:
        self._behind, self._writes, self._when, self._after = behind, writes, when, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._behind, name)
        return self._killing(method) if name in ("write", "replace", "delete", "drop") else method

    def _killing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            this = next(self._writes)
            if this == self._when and not self._after:
                raise Killed
            answer = method(*args, **kwargs)
            if this == self._when:
                raise Killed
            return answer

        return call


def killing(behind: Reading, when: int, after: bool) -> Reading:
    """That reading, until its ``when``-th write."""
    writes = count(1)
    return Reading(
        behind.history,
        Killing(behind.rows, writes, when, after),
        Killing(behind.generations, writes, when, after),
    )


def rebuild(world: World, projection: Projection[Any] = CREDITS_VIEW, **changes: Any) -> Rebuild:
    given: dict[str, Any] = {
        "reading": world.reading, "owner": "one", "now": world.clock.now,
        "settle": lambda: None, "pause": lambda _: None, "segments": 3, "workers": 1,
    } | changes  # fmt: skip
    return Rebuild(projection, **given)


def bodies(world: World, generation: str) -> dict[tuple[str, str], Row]:
    return {
        (r.stream, r.key): msgspec.structs.replace(r, generation="")
        for r in world.rows.rows.values()
        if r.generation == generation
    }


def test_a_rebuild_gives_the_same_rows_under_a_new_generation() -> None:
    world = history(5)
    sweep_all(world.reading)
    before = bodies(world, "credits@1")
    report = rebuild(world).run()
    assert report.flipped
    assert report.proof.unexpected == []
    assert report.proof.rows == len({stream for stream, _ in before})
    assert world.generations.live("credits") == 2
    assert bodies(world, "credits@2") == before
    assert bodies(world, "credits@1") == before  # kept until dropped


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_any_two_writes_it_goes_on(after: bool) -> None:
    kills = 0
    for when in range(1, 200):
        world = history(5)
        sweep_all(world.reading)
        expected = bodies(world, "credits@1")
        reading = killing(world.reading, when, after)
        try:
            rebuild(world, reading=reading).run()
        except Killed:
            kills += 1
            # Traffic goes on between the two; the projector knows of both generations.
            world.sign_up("late")
            catch_up(CREDITS_VIEW, "credits-late", world.reading)
            assert rebuild(world, owner="two", dead=lambda _: True).run().flipped
        else:
            break
        live = f"credits@{world.generations.live('credits')}"
        got = bodies(world, live)
        assert {k: v for k, v in got.items() if k[0] != "credits-late"} == expected
        assert ("credits-late", HEAD) in got
    assert kills >= 8  # begin, three rows, three segments, flip


def test_two_at_once_the_second_is_refused_until_the_first_is_silent() -> None:
    world = history(5)
    sweep_all(world.reading)
    refused: list[str] = []

    def settle() -> None:
        with pytest.raises(RebuildRunning) as caught:
            rebuild(world, owner="two").run()
        refused.append(str(caught.value))

    assert rebuild(world, settle=settle).run().flipped
    assert "rebuilt already, by one" in refused[0]

    def fall_asleep() -> None:
        world.clock.time += LEASE_MS
        assert rebuild(world, owner="two").run().flipped

    with pytest.raises(RebuildRunning, match="Another process took this rebuild over"):
        rebuild(world, settle=fall_asleep).run()
    assert world.generations.live("credits") == 3


@pytest.mark.parametrize("seed", range(20))
def test_traffic_during_a_rebuild_reaches_both_generations(seed: int) -> None:
    """Commits come in between any two writes; messages come late, or never."""
    world, chance = history(seed), random.Random(seed)
    sweep_all(world.reading)
    projector = world.projector()

    class Busy:
        def __getattr__(self, name: str) -> Any:
            if name == "write":
                commits = len(world.commits())
                world.sign_up(f"new{chance.randrange(10**9)}")
                for commit in world.commits()[commits:]:
                    if chance.random() < 0.7:
                        projector(batch(ring(commit)))
            return getattr(world.rows, name)

    reading = Reading(world.store, Busy(), world.generations)
    report = rebuild(world, reading=reading).run()
    assert report.flipped, report.proof.unexpected
    sweep([Target(CREDITS_VIEW, n) for n in (1, 2)], world.reading)
    assert bodies(world, "credits@1") == bodies(world, "credits@2")


def capitals(view: JobView, recorded: Recorded) -> list[Any]:
    """What a next version might do: the failure's code in capitals."""
    lines = apply(view, recorded)
    view.failure = view.failure.upper()
    return lines


NEXT = JOBS_VIEW.version + 1
JOBS_NEXT = replace(JOBS_VIEW, version=NEXT, apply=capitals, changes={NEXT: ("body.failure",)})


def with_failures() -> World:
    world = history(11, steps=200)
    noted(JOBS_VIEW, world.reading)
    sweep_all(world.reading)
    return world


def failed(world: World) -> set[str]:
    heads = [r for r in world.rows.rows.values() if r.generation == "jobs@1"]
    return {r.stream for r in heads if JOBS_VIEW.read(r).failure}


def test_a_changed_apply_shows_exactly_the_intended_differences() -> None:
    world = with_failures()
    assert len(failed(world)) > 1
    report = rebuild(world, JOBS_NEXT).run()
    assert report.flipped
    assert {d.stream for d in report.proof.intended} == failed(world)
    assert {(d.key, d.field) for d in report.proof.intended} == {(HEAD, "body.failure")}
    assert report.proof.unexpected == []


def test_a_difference_that_nobody_declared_stops_the_flip() -> None:
    world = with_failures()
    undeclared = replace(JOBS_NEXT, changes={})
    report = rebuild(world, undeclared).run()
    assert not report.flipped
    assert {d.stream for d in report.proof.unexpected} == failed(world)
    assert world.generations.live("jobs") == 1
    # The same command goes on from there, and an operator who has looked may accept.
    again = rebuild(world, undeclared, owner="two", dead=lambda _: True).run(accept=True)
    assert again.flipped
    assert again.generation == report.generation


def test_a_row_changed_by_hand_stops_the_flip_and_is_put_right_by_it() -> None:
    world = history(5)
    sweep_all(world.reading)
    key = ("credits@1", "credits-u", HEAD)
    row = world.rows.rows[key]
    world.rows.rows[key] = msgspec.structs.replace(row, owner="thief")
    report = rebuild(world).run()
    assert [(d.stream, d.field, d.expected, d.found) for d in report.proof.unexpected] == [
        ("credits-u", "owner", "u", "thief")
    ]
    assert rebuild(world, owner="one").run(accept=True).flipped
    head = world.rows.head("credits@2", "credits-u")
    assert head is not None
    assert head.owner == "u"


def test_a_rollback_is_one_step_and_finds_rows_up_to_date() -> None:
    world = history(5)
    sweep_all(world.reading)
    rebuild(world).run()
    world.sign_up("late")
    projector = world.projector()
    for commit in world.commits():
        projector(batch(ring(commit)))
    roll_back(CREDITS_VIEW, world.reading, world.clock.now())
    assert world.generations.live("credits") == 1
    assert world.rows.head("credits@1", "credits-late") is not None
    roll_back(CREDITS_VIEW, world.reading, world.clock.now())
    assert world.generations.live("credits") == 2


def test_a_kept_generation_of_older_code_is_left_as_it_is() -> None:
    world = with_failures()
    rebuild(world, JOBS_NEXT).run()
    world.queued_job("late", "u", "au")
    known = {"jobs": JOBS_NEXT}
    projector = world.projector(known)
    for commit in world.commits():
        projector(batch(ring(commit)))
    assert world.rows.head("jobs@2", "job-late") is not None
    assert world.rows.head("jobs@1", "job-late") is None


def test_dropping_deletes_the_rows_and_nothing_else_and_never_the_live_ones() -> None:
    world = history(5)
    sweep_all(world.reading)
    rebuild(world).run()
    with pytest.raises(Refused, match="is live"):
        drop(CREDITS_VIEW, world.reading, 2, lambda: None)
    with pytest.raises(Refused, match="no generation 9"):
        drop(CREDITS_VIEW, world.reading, 9, lambda: None)
    assert drop(CREDITS_VIEW, world.reading, 1, lambda: None) > 0
    assert bodies(world, "credits@1") == {}
    assert bodies(world, "credits@2") != {}
    with pytest.raises(Refused, match="none was kept"):
        roll_back(CREDITS_VIEW, world.reading, 0)
    # Numbers are never used twice: what a drop left behind could come to life again.
    assert rebuild(world).run().generation == 3


def test_a_throttled_table_is_asked_again() -> None:
    world, chance = history(5), random.Random(1)
    sweep_all(world.reading)

    class Throttled:
        def __getattr__(self, name: str) -> Any:
            if name in ("write", "heads") and chance.random() < 0.1:
                raise Unavailable("slow down")
            return getattr(world.rows, name)

    waits: list[float] = []
    reading = Reading(world.store, Throttled(), world.generations)
    assert rebuild(world, reading=reading, pause=waits.append).run().flipped
    assert waits
    assert bodies(world, "credits@2") == bodies(world, "credits@1")


def test_a_poison_stream_does_not_stop_a_rebuild_but_its_flip() -> None:
    world = history(5)
    sweep_all(world.reading)

    def picky(view: Any, recorded: Recorded) -> list[Any]:
        if recorded.stream == "credits-v" and recorded.version > 1:
            raise TypeError("never seen")
        return CREDITS_VIEW.apply(view, recorded)

    parked: list[str] = []
    broken = replace(CREDITS_VIEW, apply=picky)
    report = rebuild(world, broken, parked=lambda s: parked.append(s.stream)).run()
    assert parked == ["credits-v"]
    assert not report.flipped
    assert {d.stream for d in report.proof.unexpected} == {"credits-v"}


def test_a_report_names_what_it_did() -> None:
    world = history(5)
    sweep_all(world.reading)
    report: Report = rebuild(world).run()
    assert (report.previous, report.generation, report.resumed) == (1, 2, False)
    assert report.swept.events == sum(
        c.last - c.first + 1 for c in world.commits() if c.stream.startswith("credits-")
    )


def test_what_other_source_had_half_built_is_built_anew(tmp_path: Path) -> None:
    """A developer mends the code of a rebuild that was not accepted; its version stays."""
    world = history(5)
    sweep_all(world.reading)
    row = world.rows.rows["credits@1", "credits-u", HEAD]
    world.rows.rows["credits@1", "credits-u", HEAD] = msgspec.structs.replace(row, owner="thief")
    assert rebuild(world).run().generation == 2
    assert rebuild(world).run().generation == 2  # it goes on
    source = tmp_path / "mended.py"
    source.write_text("def apply(view, recorded): return []\n")
    specification = importlib.util.spec_from_file_location("mended", source)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    sys.modules["mended"] = module
    try:
        mended = replace(CREDITS_VIEW, apply=module.apply)
        assert rebuild(world, mended).run().generation == 3
    finally:
        del sys.modules["mended"]
    catalogue = world.generations.catalogue("credits")
    assert catalogue
    assert catalogue.find(2).state == DROPPING
