"""A store whose process dies or is overtaken at any call, and a watch that sees every commit.

The watch keeps books of its own from nothing but the commits, and checks after each transaction
what must hold at every version of every account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from commands import Context, Position
from commands.dispatch import Command, handles
from commands.ledger import account_of, moment
from domain import attempts, credits
from domain.aggregate import Event
from domain.commit import Append, Commit, Meta, Tip, verify_chain
from domain.credits import (
    CREDITS,
    CreditsCaptured,
    CreditsGranted,
    CreditsReserved,
    CreditsRevoked,
    CreditState,
)
from domain.job import JOB, OPEN, JobState
from domain.purchase import PAID, PURCHASE, PurchaseState
from domain.stems import StemFile
from infra.event_store import store
from infra.event_store.memory import MemoryStore
from infra.event_store.store import SNAPSHOT_COMMITS
from projections import CREDITS_VIEW
from projections.catch_up import catch_up
from tests.world import StillClock, World

OFF = -1
BOUGHT, TAKEN_BACK = ("purchase", "reinstatement"), ("refund", "dispute")


STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


class Crash(Exception):
    """The process is gone; its caller hears nothing."""


class HostileStore(MemoryStore):
    """fuse: calls until the process dies, before or after one. overtaking: runs before a put."""

    def __init__(self, clock: StillClock) -> None:
        super().__init__(clock)
        self.fuse = OFF
        self.overtaking: Callable[[], None] | None = None
        self.watching: Callable[[Sequence[Commit]], None] | None = None

    def newest_first(
        self, stream: str, upto: int | None = None, page: int = SNAPSHOT_COMMITS
    ) -> Iterator[Commit]:
        """See CommitStore."""
        self._burn()
        return super().newest_first(stream, upto, page)

    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        """See CommitStore."""
        self._burn()
        overtaking, self.overtaking = self.overtaking, None
        if overtaking:
            with self.calm():
                overtaking()
        done = super().put(commits)
        # Not for a retry that found its own first try in its place.
        if self.watching and done[0] is commits[0]:
            with self.calm():
                self.watching(done)
        self._burn()
        return done

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Another process at work, which does not die with this one."""
        fuse, self.fuse = self.fuse, OFF
        yield
        self.fuse = fuse

    def copy_of(self, other: MemoryStore) -> None:
        """Begin with another store's commits."""
        self._streams = {stream: list(commits) for stream, commits in other._streams.items()}
        self._places = dict(other._places)

    def _burn(self) -> None:
        if self.fuse == OFF:
            return
        self.fuse -= 1
        if self.fuse == OFF:
            raise Crash


class CompletePartly(Command, frozen=True):
    """A job that in the end costs less than it holds, which no model's price list asks for yet."""

    job_id: str
    spent: int


@handles(CompletePartly)
def complete_partly(context: Context, command: CompletePartly, meta: Meta) -> tuple[Position, ...]:
    loaded = context.store.load(JOB, JOB.stream(command.job_id))
    events = attempts.complete(loaded.state, loaded.state.attempt, STEMS, 0.0)
    account = account_of(context, loaded.state.asked.user_id)
    amount = min(command.spent, loaded.state.charged)
    spent = credits.capture(account.state, command.job_id, amount, moment(context, account))
    return context.commit(meta, Append(loaded, events), Append(account, spent if events else []))


@contextmanager
def frequent_snapshots() -> Iterator[None]:
    """Every few commits, so that short histories have them too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "SNAPSHOT_COMMITS", 3)
        patched.setattr(CREDITS, "snapshot_commits", 3)
        yield


class Watch:
    """Books kept from the commits alone, and what must hold between them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tips: dict[str, Tip] = {}
        self.accounts: dict[str, CreditState] = {}
        self.purchases: dict[str, PurchaseState] = {}
        self.jobs: dict[str, JobState] = {}
        # Credits by (source, purchase), by job, and events by name.
        self.granted: Counter[tuple[str, str]] = Counter()
        self.revoked: Counter[tuple[str, str]] = Counter()
        self.reserved: Counter[str] = Counter()
        self.captured: dict[str, int] = {}
        self.seen: Counter[str] = Counter()

    def __call__(self, commits: Sequence[Commit]) -> None:
        """One transaction has taken effect."""
        for commit in commits:
            self._note(commit)
        for commit in commits:
            category, _, name = commit.stream.partition("-")
            if category == "credits":
                self._check_account(name)
            if category == "purchase":
                self._check_purchase(name)
        self._check_holds()

    def _note(self, commit: Commit) -> None:
        before = self.tips.get(commit.stream, Tip(commit.stream)).t
        # Verifies link and hash as it goes.
        self.tips[commit.stream] = verify_chain([commit], self.tips.get(commit.stream))
        category, _, name = commit.stream.partition("-")
        match category:
            case "credits":
                events = CREDITS.decode(str(commit.events))
                for event in events:
                    self._book(event)
                    self._check_alive(event, self.accounts.get(name), before)
                    self.accounts[name] = CREDITS.fold([event], self.accounts.get(name))
                    assert self.accounts[name].balanced, event
            case "purchase":
                events = PURCHASE.decode(str(commit.events))
                self.purchases[name] = PURCHASE.fold(events, self.purchases.get(name))
            case "job":
                events = JOB.decode(str(commit.events))
                self.jobs[name] = JOB.fold(events, self.jobs.get(name))
            case _:
                return
        self.seen.update(event.event_name() for event in events)

    def _book(self, event: Event) -> None:
        match event:
            case CreditsGranted():
                self.granted[event.source, event.purchase_id or ""] += event.amount
            case CreditsRevoked():
                self.revoked[event.source, event.purchase_id or ""] += event.amount
            case CreditsReserved():
                self.reserved[event.job_id] += event.amount
            case CreditsCaptured():
                assert event.job_id not in self.captured, "captured twice"
                self.captured[event.job_id] = event.amount
                assert event.amount <= self.reserved[event.job_id], "more than was reserved"

    def _check_alive(self, event: Event, account: CreditState | None, before: int) -> None:
        """What was over at the account's last commit stays over: no clock set back revives it."""
        if account and isinstance(event, CreditsReserved | CreditsRevoked):
            ends = [account.grants[draw.grant_id].expires for draw in event.draws]
            assert all(end is None or end > before for end in ends), "an expired grant paid"

    def _check_account(self, user: str) -> None:
        state, world = self.accounts[user], self.world
        now = max(world.clock.now(), self.tips[CREDITS.stream(user)].t)
        assert state.balanced
        assert all(g.left >= 0 and g.held >= 0 for g in state.grants.values())
        assert sum(g.held for g in state.grants.values()) == state.reserved
        assert min(state.debt, state.available(now)) == 0, "a debt beside credits to spend"
        assert state.debt >= 0
        # What is folded event by event is what snapshots and the rows say.
        assert world.account(user) == state
        assert self._row(user) == state

    def _row(self, user: str) -> CreditState:
        stream = CREDITS.stream(user)
        catch_up(CREDITS_VIEW, stream, self.world.reading, number=1)
        head = self.world.rows.head(CREDITS_VIEW.generation(1), stream)
        assert head
        return CREDITS_VIEW.read(head).account

    def _check_purchase(self, name: str) -> None:
        """Money and credits of a purchase agree after every transaction, not only at the end."""
        state = self.purchases[name]
        paid = state.agreed.credits if state.status == PAID else 0
        assert self.granted["purchase", name] == paid, "granted for a payment"
        taken = sum(self.revoked[source, name] for source in TAKEN_BACK)
        back = self.granted["reinstatement", name]
        assert taken - back == state.revoked, "revoked for what went back"
        assert 0 <= taken - back <= paid

    def _check_holds(self) -> None:
        held = {job for state in self.accounts.values() for job in state.reservations}
        assert held == {n for n, job in self.jobs.items() if job.status in OPEN and not job.free}


def check_from_the_start(world: World, watch: Watch) -> None:
    """At the end: every chain, and every account folded anew from its first commit."""
    for stream in {commit.stream for commit in world.commits()}:
        commits = list(world.store.read(stream))
        verify_chain(commits)
        if stream.startswith("credits-"):
            events = [e for c in commits for e in CREDITS.decode(str(c.events))]
            assert CREDITS.fold(events) == watch.accounts[stream.partition("-")[2]]
    _check_sums(watch)


def _check_sums(watch: Watch) -> None:
    """Over all accounts and purchases: credits sold are credits paid for, and so is the rest."""
    bought = sum(n for (source, _), n in watch.granted.items() if source == "purchase")
    paid = [p for p in watch.purchases.values() if p.status == PAID]
    assert bought == sum(p.agreed.credits for p in paid)
    taken = sum(n for (source, _), n in watch.revoked.items() if source in TAKEN_BACK)
    back = sum(n for (source, _), n in watch.granted.items() if source == "reinstatement")
    assert taken - back == sum(p.revoked for p in watch.purchases.values())
    assert sum(a.granted for a in watch.accounts.values()) == watch.granted.total()
    assert sum(a.revoked for a in watch.accounts.values()) == watch.revoked.total()
    assert sum(a.captured for a in watch.accounts.values()) == sum(watch.captured.values())
