"""Many at once on one account, by threads on the emulator: one wins, nothing counts twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from commands import AdjustCredits, OpenCheckout, RecordPayment, RequestSeparation
from commands.dispatch import Command
from domain.commit import verify_chain
from domain.credits import CREDITS, CreditsGranted
from domain.errors import Conflict, NotEnoughCredits, Unavailable
from domain.job import JOB, QUEUED
from domain.packs import Pack
from domain.purchase import PAID, PURCHASE, Payment
from infra.event_store.dynamodb import DynamoDBStore
from tests.conftest import Cloud
from tests.world import StillClock, World

PRICE = 10
PACK = Pack("hour", "An hour", 3600, 390, "eur")
WON, TOO_LATE = "won", "too late"
AGAIN = 20


@pytest.fixture
def world(cloud: Cloud) -> World:
    """One user with a song of ten seconds and credits for one job."""
    clock = StillClock()
    store = DynamoDBStore(cloud.client("dynamodb"), cloud.resources.events_table, clock)
    world = World(clock=clock, store=store, grant=PRICE)
    world.ready_asset(user=world.sign_up())
    return world


def at_once(world: World, commands: Sequence[Command], same: bool = False) -> Counter[str]:
    """Each from a thread of its own, all let go together; how often each outcome came."""
    gate = Barrier(len(commands))

    def client(number: int) -> str:
        gate.wait(30)
        return insist(lambda: world.do(commands[number], "cmd" if same else f"cmd-{number}"))

    with ThreadPoolExecutor(len(commands)) as threads:
        return Counter(threads.map(client, range(len(commands))))


def insist(act: Callable[[], object]) -> str:
    """As a client that is told to try again does, a bounded number of times."""
    for _ in range(AGAIN):
        try:
            act()
        except NotEnoughCredits:
            return TOO_LATE
        except (Conflict, Unavailable):
            continue
        return WON
    raise AssertionError("never an answer")


@pytest.mark.parametrize("rivals", [2, 20])
def test_of_jobs_that_race_for_the_last_credits_one_wins(world: World, rivals: int) -> None:
    jobs = [f"j{number}" for number in range(rivals)]
    wanted = [RequestSeparation("u", job, "a", "two", "flac") for job in jobs]
    assert at_once(world, wanted) == {WON: 1, TOO_LATE: rivals - 1}
    account = world.account()
    (winner,) = account.reservations
    assert (account.available(world.clock.now()), account.reserved) == (0, PRICE)
    assert {job for job in jobs if world.job(job).status == QUEUED} == {winner}
    for stream in (CREDITS.stream("u"), JOB.stream(winner)):
        verify_chain(world.store.read(stream))


@pytest.mark.parametrize("same", [True, False], ids=["one event", "an event each"])
def test_fifty_messages_of_one_payment_at_once_grant_once(world: World, same: bool) -> None:
    world.do(OpenCheckout("u", "p", "cs_p", PACK))
    payment = RecordPayment("p", Payment("cs_p", "u", "pi_p", PACK.amount, PACK.currency))
    assert at_once(world, [payment] * 50, same) == {WON: 50}
    purchase = world.store.load(PURCHASE, PURCHASE.stream("p"))
    assert (purchase.state.status, purchase.version) == (PAID, 2)
    assert [g.amount for g in grants(world) if g.source == "purchase"] == [PACK.credits]
    assert world.account().available(world.clock.now()) == PRICE + PACK.credits


def test_twenty_copies_of_one_adjustment_at_once_act_once(world: World) -> None:
    gift = AdjustCredits("u", 7, "a gift")
    assert at_once(world, [gift] * 20, same=True) == {WON: 20}
    assert [g.amount for g in grants(world) if g.source == "adjustment"] == [7]


def grants(world: World) -> list[CreditsGranted]:
    commits = world.store.read(CREDITS.stream("u"))
    events = [event for commit in commits for event in CREDITS.decode(str(commit.events))]
    return [event for event in events if isinstance(event, CreditsGranted)]
