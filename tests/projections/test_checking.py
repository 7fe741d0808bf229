"""Verify finds what rows should not say, is not led astray by traffic, and repairs."""

from __future__ import annotations

from typing import Any

import msgspec

from commands import SignUp, StartSeparation
from domain import job
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.checking import Check
from projections.leveling import level
from projections.ports import HEAD
from projections.sweeping import Target
from tests.projections.test_catch_up import history, sweep_all
from tests.world import World


def check(world: World, repair: bool = False, number: int = 1) -> Any:
    target = Target(CREDITS_VIEW, number)
    checking = Check(target, world.reading, world.clock.now, repair=repair)
    found = checking.streams()
    found.add(checking.rows())
    return found


def test_verify_finds_what_was_changed_by_hand_and_repair_puts_it_right() -> None:
    world = history(5)
    sweep_all(world.reading)
    world.clock.time += 10_000
    before = dict(world.rows.rows)
    head = world.rows.rows["credits@1", "credits-u", HEAD]
    world.rows.rows["credits@1", "credits-u", HEAD] = msgspec.structs.replace(head, version=99)
    world.rows.rows["credits@1", "credits-v", HEAD] = msgspec.structs.replace(
        world.rows.rows["credits@1", "credits-v", HEAD], body="{"
    )
    ghost = msgspec.structs.replace(head, stream="credits-ghost")
    world.rows.rows["credits@1", "credits-ghost", HEAD] = ghost
    line = next(r for r in before.values() if r.stream == "credits-w" and r.key != HEAD)
    stray = msgspec.structs.replace(line, key="line#000000000000")
    world.rows.rows["credits@1", "credits-w", stray.key] = stray
    found = check(world)
    assert {d.stream for d in found.differences} == {
        "credits-u", "credits-v", "credits-w", "credits-ghost",
    }  # fmt: skip
    assert world.rows.rows != before
    assert check(world, repair=True).repaired == 4
    mended = {k: msgspec.structs.replace(r, mends=0) for k, r in world.rows.rows.items()}
    assert mended == before
    assert check(world).differences == []


def test_verify_finds_a_lost_last_message_once_it_is_old_enough() -> None:
    world = history(5)
    sweep_all(world.reading)
    world.do(SignUp("late", "development", "late@example.com"))
    assert check(world).differences == []  # it may be on its way
    world.clock.time += 3000
    (difference,) = check(world).differences
    assert (difference.stream, difference.field, difference.expected, difference.found) == (
        "credits-late", "version", 1, None,
    )  # fmt: skip
    assert check(world, repair=True).repaired == 1
    assert check(world).differences == []


def test_verify_is_not_led_astray_by_traffic() -> None:
    """Each row is compared with the events up to its own version."""
    world = World()
    world.sign_up()
    world.ready_asset()
    world.queued_job()
    sweep_all(world.reading)
    world.do(StartSeparation("j", "w"))
    found = Check(Target(JOBS_VIEW, 1), world.reading, world.clock.now).streams()
    assert found.differences == []
    assert world.job().status == job.RUNNING


def test_rows_that_nobody_noted_are_built_anew_where_nothing_else_runs() -> None:
    """As a stack finds them that ran before generations were noted."""
    world = history(5)
    sweep_all(world.reading)
    place = ("jobs@1", next(s for g, s, _ in world.rows.rows if g == "jobs@1"), HEAD)
    body = world.rows.rows[place].body
    world.rows.rows[place] = msgspec.structs.replace(world.rows.rows[place], body="{}")
    level(world.reading, world.clock.now)
    assert world.generations.live("jobs") == 2
    fresh = world.rows.head("jobs@2", place[1])
    assert fresh
    assert fresh.body == body
    level(world.reading, world.clock.now)
    assert world.generations.live("jobs") == 2


def test_a_new_stack_begins_with_generation_one() -> None:
    world = history(5)
    level(world.reading, world.clock.now)
    assert world.generations.live("jobs") == 1
    assert any(generation == "jobs@1" for generation, _, _ in world.rows.rows)
