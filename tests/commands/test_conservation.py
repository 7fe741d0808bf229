"""Credits are conserved at every version of every account, whatever happens to the system.

A history is a list of wishes, each with a mishap: the process dies at some call of the store and
the client sends the command again, the next wish overtakes this one between its load and its
append, or an earlier command comes once more. ``hostile.Watch`` checks every commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import (
    AbandonSeparation,
    AdjustCredits,
    CancelSeparation,
    CompleteSeparation,
    FailSeparation,
    NoteDispute,
    NoteRefund,
    OpenCheckout,
    RecordLapse,
    RecordPayment,
    RecordPending,
    RecordRefund,
    RefundSeparation,
    RequestSeparation,
    RequeueSeparation,
    SignUp,
    StartSeparation,
)
from commands.dispatch import Command
from commands.ledger import ADJUSTMENT, PROMOTION
from domain import job
from domain.commit import recorded
from domain.errors import Invalid, NotEnoughCredits, NotFound, Refused
from domain.packs import Pack
from domain.purchase import Claim, Payment
from infra.event_store.memory import MemoryStore
from projections.usage import USAGE_VIEW, UsageView
from tests.commands.hostile import (
    OFF,
    STEMS,
    CompletePartly,
    Crash,
    HostileStore,
    Watch,
    check_from_the_start,
    frequent_snapshots,
)
from tests.world import StillClock, World

SIGNUP = 5
USERS = ("u0", "u1")
HOUR, DAY = 3_600_000, 86_400_000
PACKS = (
    Pack("small", "Small", 10, 3, "eur"),
    Pack("large", "Large", 40, 300, "eur"),
    Pack("brief", "Brief", 30, 100, "eur", expires_days=2),
)
REFUND = ("pending", "requires_action", "succeeded", "failed", "canceled")
DISPUTE = (
    "warning_needs_response", "warning_closed", "needs_response", "under_review", "won", "lost",
)  # fmt: skip


class Mishap(NamedTuple):
    """kind: none, crash, overtaken or again; place: which call of the store, or which command."""

    kind: str
    place: int


class Step(NamedTuple):
    """What somebody wants, in numbers that say of whom and how much, and what goes wrong."""

    wish: str
    which: int
    much: int
    mishap: Mishap


def purchase(which: int) -> tuple[str, str, Pack]:
    """Its id, whose, and what."""
    number = which % 4
    return f"p{number}", USERS[number % 2], PACKS[number % len(PACKS)]


def payment(which: int) -> Payment:
    name, user, pack = purchase(which)
    return Payment(f"cs_{name}", user, f"pi_{name}", pack.amount, pack.currency)


def opened(which: int) -> Command:
    name, user, pack = purchase(which)
    return OpenCheckout(user, name, f"cs_{name}", pack)


def requested(which: int) -> Command:
    user = USERS[which % 2]
    return RequestSeparation(user, f"j{which}", f"a-{user}", ("two", "four")[which % 3 % 2], "flac")


def completed(world: World, which: int, much: int) -> Command:
    # Now and then by a worker that lost the job.
    attempt = world.job(f"j{which}").attempt if much % 5 else 1
    return CompleteSeparation(f"j{which}", attempt, STEMS, 0.0)


def given_to(which: int, much: int) -> Command:
    source = PROMOTION if which % 2 else ADJUSTMENT
    return AdjustCredits(USERS[which % 3], much, "a gift", source, priority=which)


Maker = Callable[[World, int, int], Command]
WISHES: dict[str, Maker] = {
    "sign up": lambda w, n, m: SignUp(USERS[n % 2], "development", "u@example.com"),
    "open": lambda w, n, m: opened(n),
    "pay": lambda w, n, m: RecordPayment(purchase(n)[0], payment(n)),
    "mispay": lambda w, n, m: RecordPayment(purchase(n)[0], payment(n + 1)),
    "pending": lambda w, n, m: RecordPending(purchase(n)[0], payment(n)),
    "lapse": lambda w, n, m: RecordLapse(purchase(n)[0], f"cs_{purchase(n)[0]}", "expired"),
    "refund": lambda w, n, m: RecordRefund(purchase(n)[0], 1 + m * 7 % purchase(n)[2].amount),
    "refund all": lambda w, n, m: RecordRefund(purchase(n)[0], purchase(n)[2].amount),
    "note refund": lambda w, n, m: NoteRefund(
        purchase(n)[0], f"re{m % 2}", Claim(1 + m * 5 % purchase(n)[2].amount, REFUND[m % 5])
    ),
    "note dispute": lambda w, n, m: NoteDispute(
        purchase(n)[0], f"dp{m % 2}", Claim(purchase(n)[2].amount, DISPUTE[m % 6])
    ),
    "give": lambda w, n, m: AdjustCredits(USERS[n % 2], m, "a gift", ADJUSTMENT, priority=n),
    "promote": lambda w, n, m: AdjustCredits(
        USERS[n % 2], m, "for a while", PROMOTION, w.clock.time + (1 + m % 9) * HOUR, priority=n
    ),
    "take": lambda w, n, m: AdjustCredits(USERS[n % 2], -m, "a mistake"),
    "request": lambda w, n, m: requested(n),
    "start": lambda w, n, m: StartSeparation(f"j{n}", "w"),
    "complete": completed,
    "complete partly": lambda w, n, m: CompletePartly(f"j{n}", m % 12),
    "fail": lambda w, n, m: FailSeparation(f"j{n}", None, "decode", "media_unreadable", ""),
    "cancel": lambda w, n, m: CancelSeparation(USERS[n % 2], f"j{n}"),
    "requeue": lambda w, n, m: RequeueSeparation(f"j{n}", "once more"),
    "abandon": lambda w, n, m: AbandonSeparation(f"j{n}", "hopeless"),
    "refund job": lambda w, n, m: RefundSeparation(f"j{n}", "it hisses"),
}
# What usually follows one another, so that histories get somewhere.
STORIES: dict[str, tuple[str, ...]] = {
    "buy": ("open", "pay"),
    "separate": ("request", "start", "complete"),
    "separate partly": ("request", "start", "complete partly"),
    "begin": ("request", "start"),
    "fail and go on": ("fail", "requeue", "start"),
    "regret": ("open", "pay", "request", "refund all", "cancel"),
    "regret partly": ("open", "pay", "request", "refund all", "start", "complete partly"),
} | {wish: (wish,) for wish in WISHES}
OFTEN = [*["buy", "separate", "begin"] * 2, "separate", "promote", "refund all"]
CLOCK = ["wait", "wait", "wait", "back"]
MISHAPS = [
    *[Mishap("none", 0)] * 6,
    *[Mishap("crash", place) for place in range(7)],
    *[Mishap("overtaken", 0)] * 4,
    *[Mishap("again", back) for back in range(1, 5)],
]
STEPS = st.lists(
    st.builds(
        Step, st.sampled_from([*STORIES, *OFTEN, *CLOCK]), st.integers(0, 5), st.integers(1, 60),
        st.sampled_from(MISHAPS),
    ),
    min_size=20, max_size=60,
)  # fmt: skip
EXPECTED = (Invalid, NotEnoughCredits, NotFound, Refused)


class History:
    """Lives the steps, and keeps count of what was acknowledged, each command once."""

    def __init__(self, base: MemoryStore, clock: StillClock) -> None:
        self.store = HostileStore(clock)
        self.store.copy_of(base)
        self.world = World(clock=clock, store=self.store, grant=SIGNUP)
        self.watch = Watch(self.world)
        for stream in {c.stream for c in self.world.commits()}:
            self.watch(list(self.store.read(stream)))
        self.store.watching = self.watch
        self.sent: list[tuple[Command, str]] = []
        self.adjusted: dict[str, AdjustCredits] = {}

    def live(self, steps: list[Step]) -> None:
        """One after the other; a step that is overtaken lets in the one after it."""
        for number, step in enumerate(steps):
            if step.wish in CLOCK:
                self._turn_clock(step)
                continue
            for place, wish in enumerate(STORIES[step.wish]):
                command = WISHES[wish](self.world, step.which, step.much)
                self._go_wrong(step.mishap, steps[number + 1 :])
                self._send(command, f"cmd-{number}-{place}")

    def _go_wrong(self, mishap: Mishap, later: list[Step]) -> None:
        match mishap:
            case ("crash", place):
                self.store.fuse = place
            case ("again", back) if back <= len(self.sent):
                self._send(*self.sent[-back])
            case ("overtaken", _):
                self.store.overtaking = self._overtaker(later)

    def _turn_clock(self, step: Step) -> None:
        by = step.much * (HOUR if step.which % 2 else 1000)
        self.world.clock.time += by if step.wish == "wait" else -by

    def _overtaker(self, later: list[Step]) -> Callable[[], None]:
        """Another process does what comes next, wholly."""

        def overtake() -> None:
            step = next((s for s in later if s.wish not in CLOCK), None)
            if step:
                wish = STORIES[step.wish][0]
                command = WISHES[wish](self.world, step.which, step.much)
                self._send(command, f"cmd-overtaking-{len(self.sent)}")

        return overtake

    def _send(self, command: Command, cmd: str) -> None:
        """Until there is an answer."""
        while True:
            try:
                self.world.do(command, cmd)
            except Crash:
                continue
            except EXPECTED:
                break
            if isinstance(command, AdjustCredits):
                self.adjusted[cmd] = command
            break
        self.store.fuse, self.store.overtaking = OFF, None
        self.sent.append((command, cmd))

    def check(self) -> None:
        """What the whole history must come to."""
        check_from_the_start(self.world, self.watch)
        self._check_adjustments()
        self._check_usage()
        for name, state in self.watch.jobs.items():
            assert state.refunded in (0, state.charged)
            if state.status == job.COMPLETED and not state.free:
                assert name in self.watch.captured or state.charged == 0
            else:
                assert name not in self.watch.captured

    def _check_adjustments(self) -> None:
        """Each adjustment that was acknowledged acted once, however often it was sent."""
        given = sum(a.amount for a in self.adjusted.values() if a.amount > 0)
        taken = sum(-a.amount for a in self.adjusted.values() if a.amount < 0)
        granted, revoked = self.watch.granted, self.watch.revoked
        assert granted[ADJUSTMENT, ""] + granted[PROMOTION, ""] == given
        assert revoked[ADJUSTMENT, ""] == taken
        assert granted["signup", ""] == SIGNUP * len(
            [c for c in self.world.commits() if c.stream.startswith("user-")]
        )

    def _check_usage(self) -> None:
        """What the usage rows say was held and what came back is what the ledger says."""
        views = [self._usage(name) for name in self.watch.jobs]
        for view in views:
            assert self.watch.reserved[view.job_id] == view.price
            assert view.status == self.watch.jobs[view.job_id].status or view.status == job.QUEUED
        assert self.watch.granted["refund", ""] == sum(view.refunded for view in views)

    def _usage(self, name: str) -> UsageView:
        view = UsageView()
        commits = self.store.read(job.JOB.stream(name))
        for event in recorded(job.JOB, commits):
            USAGE_VIEW.apply(view, event)
        return view


def base() -> MemoryStore:
    """One user who has signed up and one who has not; both uploaded a song of ten seconds."""
    world = World(grant=SIGNUP)
    for user in USERS:
        world.ready_asset(user, f"a-{user}")
    world.sign_up(USERS[0])
    return cast(MemoryStore, world.store)


BASE = base()


@pytest.mark.slow
@settings(max_examples=2000)
@given(STEPS)
def test_credits_are_conserved_whatever_happens(steps: list[Step]) -> None:
    history = History(BASE, StillClock())
    with frequent_snapshots():
        history.live(steps)
    history.check()
