"""A process dies before or after any write, and whoever waited sends the same command again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from commands import (
    AbandonSeparation,
    CancelSeparation,
    CompleteSeparation,
    FailSeparation,
    RefundSeparation,
    RequestSeparation,
    RequeueSeparation,
    SignUp,
    StartSeparation,
)
from commands.dispatch import Command
from domain import credits
from domain.commit import Append, Commit, Meta, verify_chain
from domain.credits import CREDITS, CreditsGranted
from domain.errors import NotEnoughCredits, NotFound, Refused
from domain.job import COMPLETED, OPEN
from domain.stems import StemFile
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


@settings(max_examples=200)
@given(st.integers(0, 1_000_000))
def test_a_job_is_made_once_and_charged_at_most_once(seed: int) -> None:
    chance, clock = random.Random(seed), StillClock()
    store = Crashing(clock, chance)
    world = World(seed=seed, clock=clock, store=store, grant=45)
    insist(world, SignUp("u", "development", "u@example.com"), "cmd-signup")
    store.calm = True
    world.ready_asset()
    _give_for_a_while(world)
    store.calm = False
    jobs = [f"j{n}" for n in range(6)]
    wishes = [_wish(job, chance) for job in jobs for _ in range(9)]
    chance.shuffle(wishes)
    for number, command in enumerate(wishes):
        clock.time += chance.randrange(2000)
        with suppress(NotEnoughCredits, NotFound, Refused):
            insist(world, command, f"cmd-{number}")
    _check(world, jobs)


def _give_for_a_while(world: World) -> None:
    account = world.store.load(CREDITS, CREDITS.stream("u"))
    gift = CreditsGranted("u", "gift", "promotion", 15, world.clock.now() + 20_000, 1)
    world.store.append(
        [Append(account, credits.grant(account.state, gift, world.clock.now()))], Meta("c", "test")
    )


def _wish(job: str, chance: random.Random) -> Command:
    wishes: list[Command] = [
        RequestSeparation("u", job, "a", "two", "flac"),
        StartSeparation(job, "w"),
        CompleteSeparation(job, chance.randint(1, 4), STEMS, 0.0),
        FailSeparation(job, chance.choice((None, 1, 2, 3)), "", "worker_gave_up", ""),
        CancelSeparation("u", job),
        RequeueSeparation(job, "once more"),
        AbandonSeparation(job, "hopeless"),
        RefundSeparation(job, "it hisses"),
    ]
    return chance.choices(wishes, weights=[4, 4, 4, 1, 1, 2, 1, 2])[0]


def _check(world: World, jobs: list[str]) -> None:
    account = world.account()
    states = [world.job(job) for job in jobs]
    held = {
        job
        for job, state in zip(jobs, states, strict=True)
        if state.status in OPEN and not state.free
    }
    done = [state for state in states if state.status == COMPLETED]
    assert set(account.reservations) == held
    assert account.captured == sum(s.asked.price for s in done if not s.free)
    assert all(s.refunded in (0, s.charged) for s in done)
    assert not any(s.refunded for s in states if s.status != COMPLETED or s.free)
    assert account.granted == 60 + sum(s.refunded for s in states)
    left = sum(grant.left for grant in account.grants.values())
    assert account.granted == left + account.reserved + account.captured + account.expired
    for stream in {c.stream for c in world.commits()}:
        verify_chain(world.store.read(stream))
