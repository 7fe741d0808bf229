"""A process dies before or after any write, and whoever waited sends the same command again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from commands import (
    CancelSeparation,
    CompleteSeparation,
    FailSeparation,
    RequestSeparation,
    SignUp,
    StartSeparation,
)
from commands.dispatch import Command
from domain.commit import Commit, verify_chain
from domain.errors import NotEnoughCredits, NotFound, StaleAttempt
from domain.job import COMPLETED, OPEN, StemFile
from infra.event_store.memory import MemoryStore
from tests.world import StillClock, World

STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


class Crash(Exception):
    """The process is gone; its caller hears nothing."""


class Crashing(MemoryStore):
    """Dies around every other write: half of those before it took effect, half after."""

    def __init__(self, clock: StillClock, chance: random.Random) -> None:
        super().__init__(clock)
        self.chance = chance
        self.calm = False

    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        fate = 1.0 if self.calm else self.chance.random()
        if fate < 0.25:
            raise Crash
        done = super().put(commits)
        if fate < 0.5:
            raise Crash
        return done


def insist(world: World, command: Command, cmd: str) -> None:
    """Send until there is an answer, under one command id as an Idempotency-Key gives it."""
    while True:
        with suppress(Crash):
            world.do(command, cmd)
            return


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1_000_000))
def test_a_job_is_made_once_and_charged_at_most_once(seed: int) -> None:
    chance, clock = random.Random(seed), StillClock()
    store = Crashing(clock, chance)
    world = World(seed=seed, clock=clock, store=store, grant=45)
    insist(world, SignUp("u", "development", "u@example.com"), "cmd-signup")
    store.calm = True
    world.ready_asset()
    store.calm = False
    jobs = [f"j{n}" for n in range(6)]
    wishes = [_wish(job, chance) for job in jobs for _ in range(6)]
    chance.shuffle(wishes)
    for number, command in enumerate(wishes):
        with suppress(NotEnoughCredits, NotFound, StaleAttempt):
            insist(world, command, f"cmd-{number}")
    _check(world, jobs)


def _wish(job: str, chance: random.Random) -> Command:
    wishes: list[Command] = [
        RequestSeparation("u", job, "a", "two", "flac"),
        StartSeparation(job, "w"),
        CompleteSeparation(job, chance.randint(1, 2), STEMS, 0.0),
        FailSeparation(job, None, "", "worker_gave_up", ""),
        CancelSeparation("u", job),
    ]
    return chance.choices(wishes, weights=[4, 3, 3, 1, 1])[0]


def _check(world: World, jobs: list[str]) -> None:
    account = world.account()
    states = [world.job(job) for job in jobs]
    held = {job for job, state in zip(jobs, states, strict=True) if state.status in OPEN}
    spent = sum(s.asked.price for s in states if s.status == COMPLETED)
    assert set(account.reservations) == held
    assert account.captured == spent
    assert account.granted == 45
    assert account.granted == account.available(0) + account.reserved + account.captured
    for stream in {c.stream for c in world.commits()}:
        verify_chain(world.store.read(stream))
