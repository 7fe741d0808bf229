"""Credits: the account as it stands, and one statement line per event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from domain import credits
from domain.aggregate import Event, Recorded
from domain.credits import CREDITS, CreditState
from domain.draws import total
from domain.erased import Erased
from projections.projection import Index, Projection


class AccountView(Struct):
    """The account's state; what is available depends on the time it is asked for."""

    account: CreditState = field(default_factory=CreditState)


class StatementLine(Struct, frozen=True):
    """One event as a user reads it.

    change: of the credits that can be spent; balance: after it, expiry not yet applied.
    """

    version: int
    time: int
    kind: str
    change: int
    amount: int
    balance: int
    job_id: str | None = None
    grant_id: str | None = None
    reason: str = ""
    purchase_id: str | None = None


def apply(view: AccountView, recorded: Recorded) -> list[Struct]:
    """Fold one event and say it as a statement line; the statement begins anew after the end of
    a person.
    """
    event = recorded.event
    view.account = credits.evolve(view.account, event)
    if isinstance(event, Erased):
        return []
    kind, amount, why = words(event)
    return [
        StatementLine(
            recorded.version, recorded.time, kind, _change(event), amount, view.account.left,
            getattr(event, "job_id", None), getattr(event, "grant_id", None), why,
            getattr(event, "purchase_id", None),
        )
    ]  # fmt: skip


def words(event: Event) -> tuple[str, int, str]:
    """An event in the words of a statement: its kind, its credits, and why it happened."""
    kind, why = _WORDS[type(event)]
    amount: int = getattr(event, "amount", 0)
    return kind, amount, why if isinstance(why, str) else why(event)


_WORDS: dict[type[Event], tuple[str, str | Callable[[Any], str]]] = {
    credits.CreditsGranted: ("grant", lambda e: e.reason or e.source),
    credits.CreditsReserved: ("reserve", "held for a job"),
    credits.CreditsCaptured: ("capture", "spent by a job"),
    credits.CreditsReleased: ("release", lambda e: e.reason),
    credits.CreditsExpired: ("expire", lambda e: e.reason or "the grant's time was over"),
    credits.CreditsRevoked: (
        "revoke", lambda e: e.reason or f"the payment was taken back ({e.source})",
    ),
    credits.DebtSettled: ("settle", "paid what was owed"),
    Erased: ("erase", "the person was forgotten"),
}  # fmt: skip


def _change(event: Event) -> int:
    """Of the credits that can be spent."""
    match event:
        case credits.CreditsReserved() | credits.CreditsExpired() | credits.DebtSettled():
            return -event.amount
        case credits.CreditsCaptured():
            return total(event.returned)
        case credits.CreditsRevoked():
            return -total(event.draws)
        case credits.CreditsReleased() | credits.CreditsGranted():
            return event.amount
    raise TypeError(f"no statement line for {type(event).__name__}")


def index(view: AccountView) -> Index:
    """One account per user; nobody's after an erasure, until something is granted again."""
    return Index(view.account.user_id if view.account.grants_made else "", "account")


CREDITS_VIEW = Projection(
    "credits", 2, CREDITS, AccountView, apply, index, has_lines=True, goes_on=True,
    changes={
        2: ("body.account.grants", "body.account.revoked", "body.account.debt",
            "body.account.lapsed",
            "line.body.purchase_id"),
    },
)  # fmt: skip
