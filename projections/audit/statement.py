"""An account's statement at any time: one entry per event with every balance after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from domain.aggregate import Event
from domain.commit import Chain, Commit
from domain.credits import CREDITS
from domain.errors import HistoryBroken
from domain.grants import Grant
from projections.audit.ledger import Ledger
from projections.credits import words


class Entry(Struct, gc=False):
    """One ledger event. Balances in credits, after it; change: of what is available.

    why: in the words of a statement. wrong: what breaks the law here, or empty.
    """

    version: int
    commit: Commit
    event: Event
    kind: str
    amount: int
    why: str
    change: int
    available: int
    held: int
    spent: int
    expired: int
    revoked: int
    debt: int
    granted: int
    wrong: str = ""

    def said(self, name: str) -> Any:
        """A field of the event, None where it has none: ``job_id``, ``purchase_id``, ..."""
        return getattr(self.event, name, None)

    @property
    def about(self) -> str:
        """The purchase, job or grant that it is about: the first that it names."""
        return next(filter(None, map(self.said, ("purchase_id", "job_id", "grant_id"))), "")


class Statement(Struct):
    """A whole account. grants: those that still have credits, by id.

    at: epoch ms, the time that ``spendable`` is for: without grants that are over by then.
    wrong: versions and what is wrong there.
    """

    entries: list[Entry]
    grants: dict[str, Grant]
    at: int
    spendable: int
    law: str
    wrong: list[tuple[int, str]]


def statement(commits: Iterable[Commit], at: int) -> Statement:
    """Walk one account's commits from its first, their chain verified.

    Raises HistoryBroken where the chain does not hold, or an event cannot be folded.
    """
    ledger = Ledger()
    entries = list(walked(commits, ledger))
    wrong = [(e.version, e.wrong) for e in entries if e.wrong]
    if entries and not wrong and (unsettled := ledger.settled()):
        wrong.append((entries[-1].version, unsettled))
    state = ledger.state
    return Statement(entries, state.grants, at, state.available(at), ledger.law(), wrong)


def walked(commits: Iterable[Commit], ledger: Ledger) -> Iterable[Entry]:
    """The entries of one account one by one; ``ledger`` is at each as they come.

    Raises HistoryBroken, see ``statement``.
    """
    follow, decode, take = Chain().follow, CREDITS.decode, ledger.take
    state = ledger.state
    before = 0
    for commit in commits:
        follow(commit)
        version = commit.first
        events = decode(commit.events)  # type: ignore[arg-type]  # our states are JSON
        for event in events:
            try:
                wrong = take(event)
            except LookupError as error:
                raise HistoryBroken(
                    f"{commit.stream} version {version}: {type(event).__name__} moves what the "
                    f"account does not have ({error})."
                ) from error
            if state.debt and version == commit.last and not wrong:
                wrong = ledger.owes_and_has(commit.t)
            kind, amount, why = words(event)
            available = ledger.available
            yield Entry(
                version, commit, event, kind, amount, why, available - before, available,
                ledger.held, state.captured, state.expired, state.revoked, state.debt,
                state.granted, wrong,
            )  # fmt: skip
            before = available
            version += 1
