"""The auditors' speeds, on one core and in memory, and what it costs to load a long account."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from commands.ports import Clock
from domain import credits
from domain.aggregate import Event
from domain.commit import Append, Commit, Meta, verify_chain
from domain.credits import CREDITS, CreditsGranted
from domain.grants import BOUGHT
from handlers.bench import Figure, fold_speed
from handlers.bench.timing import quickest
from infra.bootstrap import Application
from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.memory import MemoryStore
from infra.event_store.store import CommitStore
from infra.metering import Meter
from projections.audit.statement import Statement, statement
from projections.audit.walking import Walk, Walked

EVENTS = 10_000
GRANTS = 5
RUNS = 7
# Commits in one transaction.
_TOGETHER = 50


def figures() -> list[Figure]:
    """What needs no local stack: the statement of a long account, and verifying a store."""
    account = long_account()
    milliseconds = 1000 * quickest(lambda: replay(account), RUNS)
    store = mixed_store()
    events = sum(stream[-1].last for stream in store)
    per_second = events / quickest(lambda: verify(store), RUNS)
    return [
        Figure(
            f"statement of {EVENTS:,} ledger events", milliseconds, "ms CPU", "<= 50",
            "chain, decode, fold, every balance and the law at every version",
        ),
        Figure(
            "of which following the hash chain",
            1000 * quickest(lambda: verify_chain(account), RUNS), "ms CPU",
        ),
        Figure(
            f"verify {events:,} events of jobs and accounts", per_second, "events/s", ">= 200,000",
            "chain, decode, fold, law, snapshots, both halves of transactions, sums",
        ),
    ]  # fmt: skip


def on_a_stack(application: Application) -> list[Figure]:
    """What it costs to load an account of EVENTS events."""
    client, table = application.client("dynamodb"), application.settings.events_table
    user = application.ids.fresh("usr")
    store_account(DynamoDBStore(client, table, application.clock), user)
    reads = load_cost(client, table, user)
    return [Figure(f"load an account of {EVENTS:,} events", reads, "read units", "<= 3")]


def store_account(store: CommitStore, user: str, events: int = EVENTS) -> None:
    """Put a long account into a store, with its snapshots."""
    account = long_account(user, events)
    for start in range(0, len(account), _TOGETHER):
        store.put(account[start : start + _TOGETHER])


def load_cost(client: Any, table: str, user: str) -> float:
    """Read units of loading a user's account as a command does. client: boto3's, DynamoDB."""
    meter = Meter(client)
    DynamoDBStore(meter, table, _Second()).load(CREDITS, CREDITS.stream(user))
    return meter.totals().reads


def replay(account: list[Commit]) -> Statement:
    """The statement of one account."""
    return statement(account, account[-1].t)


def verify(streams: list[list[Commit]]) -> Walked:
    """All of these streams, each a list of its commits."""
    found = Walked()
    for stream in streams:
        found.add(Walk(stream[0].stream).run(stream))
    return found


class _Second(Clock):
    """Each look is a second later."""

    def __init__(self) -> None:
        self._now = 1_790_000_000_000

    def now(self) -> int:
        """See Clock."""
        self._now += 1000
        return self._now


def long_account(
    user: str = "usr_01kabcdefghjkmnpqrstvwxyz0", events: int = EVENTS
) -> list[Commit]:
    """Commits of one event each: grants, then jobs that capture, and some that do not."""
    store, stream = MemoryStore(_Second()), CREDITS.stream(user)

    def book(decide: Callable[..., list[Event]], *what: Any) -> None:
        account = store.load(CREDITS, stream)
        number = account.version + 1
        meta = Meta(f"cmd_01kabcdefghjkm{number:012d}", "worker-host:1234:abcdef", f"req_{number}")
        store.append([Append(account, decide(account.state, *what, 0))], meta)

    for number in range(GRANTS):
        given = CreditsGranted(user, f"grt_{number:026d}", BOUGHT, 10**7, purchase_id="pur_1")
        book(credits.grant, given)
    for number in range((events - GRANTS + 1) // 2):
        job = f"job_{number:026d}"
        book(credits.reserve, job, 100)
        if number % 5:
            book(credits.capture, job, 90)
        else:
            book(credits.release, job, "cancelled")
    return list(store.scan())[:events]


def mixed_store() -> list[list[Commit]]:
    """Jobs and the accounts that pay for them, as commands leave them; one event per commit."""
    ours = ("job-", "credits-")
    commits = (c for c in fold_speed.commits_of_users() if c.stream.startswith(ours))
    return [list(own) for _, own in groupby(commits, key=lambda commit: commit.stream)]
