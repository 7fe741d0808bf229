"""However the provider's messages arrive, all ends as if each had come once, in order.

``stripe_model`` plays what really happened. The network repeats, reorders and delays what it tells,
processes die between calls of the store and get the message again, two of them work on one
purchase at once, and meanwhile the user's jobs hold, spend and give back the credits.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import (
    CancelSeparation,
    CompleteSeparation,
    RequestSeparation,
    SignUp,
    StartSeparation,
)
from commands.dispatch import Command
from domain.credits import CreditState
from domain.errors import NotEnoughCredits, NotFound, PurchaseUnknown, Refused
from domain.packs import Pack
from domain.purchase import PAID, PURCHASE
from infra.event_store.memory import MemoryStore
from projections import PURCHASES_VIEW
from projections.catch_up import catch_up
from tests.commands.hostile import (
    OFF,
    STEMS,
    Crash,
    HostileStore,
    Watch,
    check_from_the_start,
    frequent_snapshots,
)
from tests.commands.stripe_model import (
    CHECKOUTS,
    DISPUTES,
    REFUNDS,
    Dispute,
    Provider,
    Refund,
    Story,
    Truth,
)
from tests.world import StillClock, World

SIGNUP, HOUR = 1, 3_600_000
USERS = ("u0", "u1")
PACKS = (
    Pack("odd", "Odd", 10, 3, "eur"),
    Pack("plain", "Plain", 40, 300, "eur"),
    Pack("brief", "Brief", 35, 97, "eur", expires_days=2),
)


class Turn(NamedTuple):
    """What happens next: a message (the ``which``-th that is under way), a job's step, or time.

    again: it will be delivered once more. mishap: none, crash (at call ``place``), or overtaken.
    """

    kind: str
    which: int
    again: bool
    mishap: str
    place: int


PERCENT = st.sampled_from([100, 50, 33, 1, 67])
STORIES = st.builds(
    Story,
    st.sampled_from([0, 0, 1]),
    st.sampled_from(PACKS),
    st.sampled_from(["paid", "paid", "paid", "paid later", *CHECKOUTS]),
    st.lists(
        st.builds(Refund, st.sampled_from(list(REFUNDS)), PERCENT, st.booleans()), max_size=4
    ).map(tuple),
    st.lists(st.builds(Dispute, st.sampled_from(list(DISPUTES)), PERCENT), max_size=2).map(tuple),
    st.lists(st.integers(0, 5), max_size=8).map(tuple),
)
JOBS = ["request", "request", "start", "complete", "separate", "separate", "cancel"]
TURNS = st.lists(
    st.builds(
        Turn,
        st.sampled_from([*["message"] * 9, *JOBS, *["separate"] * 3, "wait"]),
        st.integers(0, 11),
        st.booleans(),
        st.sampled_from(["none", "none", "crash", "crash", "overtaken"]),
        st.integers(0, 6),
    ),
    min_size=12, max_size=40,
)  # fmt: skip


class Delivery(NamedTuple):
    """A message on its way, under the id that all its copies carry."""

    command: Command
    cmd: str


class Network:
    """Delivers to a world what providers tell, badly."""

    def __init__(self, base: MemoryStore, providers: list[Provider]) -> None:
        self.store = HostileStore(StillClock())
        self.store.copy_of(base)
        self.world = World(clock=self.store._clock, store=self.store, grant=SIGNUP)  # type: ignore[arg-type]
        self.watch = Watch(self.world)
        for stream in {c.stream for c in self.world.commits()}:
            self.watch(list(self.store.read(stream)))
        self.store.watching = self.watch
        told = [m for p in providers for m in (p.opening, *p.messages)]
        self.under_way = [Delivery(message, f"evt-{n}") for n, message in enumerate(told)]
        self.turn = 0

    def live(self, turns: list[Turn]) -> None:
        """As drawn; then what is still under way arrives, the latest first."""
        for turn in turns:
            self.turn += 1
            if turn.kind == "wait":
                self.world.clock.time += (turn.which - 2) * 8 * HOUR
            elif turn.kind == "message":
                self._deliver(turn)
            else:
                self._work(turn)
        for _ in range(2):  # what came before its purchase was on record is sent again
            for delivery in reversed(self.under_way.copy()):
                self._arrive(delivery)
        assert not self.under_way

    def _deliver(self, turn: Turn) -> None:
        if not self.under_way:
            return
        delivery = self.under_way[turn.which % len(self.under_way)]
        self._go_wrong(turn, delivery)
        self._arrive(delivery, keep=turn.again)

    def _arrive(self, delivery: Delivery, keep: bool = False) -> None:
        """Not on record here: the provider is told to try again."""
        try:
            self._insist(*delivery)
        except PurchaseUnknown:
            return
        if not keep and delivery in self.under_way:
            self.under_way.remove(delivery)

    def _go_wrong(self, turn: Turn, delivery: Delivery | None) -> None:
        if turn.mishap == "crash":
            self.store.fuse = turn.place
        if turn.mishap == "overtaken" and self.under_way:
            # By another message of the purchase, or by the same one at the same time.
            other = self.under_way[(turn.which + turn.place) % len(self.under_way)]
            overtaking = delivery if delivery and turn.place % 2 else other
            self.store.overtaking = lambda: self._arrive(overtaking, keep=True)

    def _work(self, turn: Turn) -> None:
        name, user = f"j{turn.which}", USERS[turn.which % 4 // 3]
        steps: dict[str, Command] = {
            "request": RequestSeparation(user, name, f"a-{user}", "two", "flac"),
            "start": StartSeparation(name, "w"),
            "complete": CompleteSeparation(name, 1, STEMS, 0.0),
            "cancel": CancelSeparation(user, name),
        }
        kinds = ("request", "start", "complete") if turn.kind == "separate" else (turn.kind,)
        for kind in kinds:
            self._go_wrong(turn, None)
            try:
                self._insist(steps[kind], f"cmd-{self.turn}-{kind}")
            except (NotEnoughCredits, NotFound, Refused):
                return

    def _insist(self, command: Command, cmd: str) -> None:
        """The process that dies with it gets it again."""
        try:
            while True:
                with suppress(Crash):
                    self.world.do(command, cmd)
                    return
        finally:
            self.store.fuse, self.store.overtaking = OFF, None


def base() -> MemoryStore:
    """Two users with a song of ten seconds each."""
    world = World(grant=SIGNUP)
    for user in USERS:
        world.ready_asset(user, f"a-{user}")
        world.do(SignUp(user, "development", f"{user}@example.com"))
    return cast(MemoryStore, world.store)


BASE = base()


def in_order(providers: list[Provider]) -> World:
    """Each message once, in the order of events, and nobody spends anything."""
    store = HostileStore(StillClock())
    store.copy_of(BASE)
    world = World(clock=store._clock, store=store, grant=SIGNUP)  # type: ignore[arg-type]
    for provider in providers:
        for message in (provider.opening, *provider.messages):
            world.do(message)
    return world


def truth(world: World, purchase: str) -> Truth:
    state = world.store.load(PURCHASE, PURCHASE.stream(purchase)).state
    granted = state.agreed.credits if state.status == PAID else 0
    return Truth(state.status, state.taken_back, state.revoked, granted)


def came_in(account: CreditState) -> int:
    """What the user got for good: whether spent, held, expired or there, less what is owed."""
    used = account.captured + account.reserved + account.expired
    return account.left + used - account.debt


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.lists(STORIES, min_size=1, max_size=3), TURNS)
def test_what_is_delivered_badly_ends_like_what_is_delivered_well(
    stories: list[Story], turns: list[Turn]
) -> None:
    providers = [Provider(number, story) for number, story in enumerate(stories)]
    network = Network(BASE, providers)
    with frequent_snapshots():
        network.live(turns)
    world, reference = network.world, in_order(providers)
    for provider in providers:
        assert truth(world, provider.id) == truth(reference, provider.id) == provider.truth()
        _check_claims(world, reference, provider.id)
    for user in USERS:
        bought = sum(p.truth().granted - p.truth().revoked for p in providers if p.user == user)
        for account in (world.account(user), reference.account(user)):
            assert account.granted - account.revoked == came_in(account) == SIGNUP + bought
    check_from_the_start(world, network.watch)


def _check_claims(world: World, reference: World, purchase: str) -> None:
    """The same refunds and disputes stand, in the stream and in its row."""
    stream = PURCHASE.stream(purchase)
    ours, theirs = (w.store.load(PURCHASE, stream).state for w in (world, reference))
    assert (ours.refunds, ours.disputes) == (theirs.refunds, theirs.disputes)
    assert (ours.refunded, ours.paid, ours.questions) == (theirs.refunded, theirs.paid, [])
    catch_up(PURCHASES_VIEW, stream, world.reading, number=1)
    head = world.rows.head(PURCHASES_VIEW.generation(1), stream)
    assert head
    assert PURCHASES_VIEW.read(head).state == ours
