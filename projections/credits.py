"""Credits: the account as it stands, and one statement line per event."""

from __future__ import annotations

from msgspec import Struct, field

from domain import credits
from domain.aggregate import Event, Recorded
from domain.credits import CREDITS, CreditState
from domain.draws import total
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


class _Said(Struct, frozen=True):
    """An event in the words of a statement."""

    kind: str
    change: int
    amount: int
    reason: str
    job_id: str | None = None
    grant_id: str | None = None
    purchase_id: str | None = None


def apply(view: AccountView, recorded: Recorded) -> list[Struct]:
    """Fold one event and say it as a statement line."""
    view.account = credits.evolve(view.account, recorded.event)
    said = _words(recorded.event)
    return [
        StatementLine(
            recorded.version, recorded.time, said.kind, said.change, said.amount,
            view.account.left, said.job_id, said.grant_id, said.reason, said.purchase_id,
        )
    ]  # fmt: skip


def _words(event: Event) -> _Said:
    match event:
        case credits.CreditsReserved() as e:
            return _Said("reserve", -e.amount, e.amount, "held for a job", e.job_id)
        case credits.CreditsCaptured() as e:
            return _Said("capture", total(e.returned), e.amount, "spent by a job", e.job_id)
        case credits.CreditsReleased() as e:
            return _Said("release", e.amount, e.amount, e.reason, e.job_id)
        case credits.CreditsGranted() as e:
            why = e.reason or e.source
            return _Said("grant", e.amount, e.amount, why, e.job_id, e.grant_id, e.purchase_id)
        case credits.CreditsExpired() as e:
            why = "the grant's time was over"
            return _Said("expire", -e.amount, e.amount, why, grant_id=e.grant_id)
        case credits.CreditsRevoked() as e:
            why = e.reason or f"the payment was taken back ({e.source})"
            return _Said("revoke", -total(e.draws), e.amount, why, purchase_id=e.purchase_id)
        case credits.DebtSettled() as e:
            return _Said("settle", -e.amount, e.amount, "paid what was owed")
    raise TypeError(f"no statement line for {type(event).__name__}")


def index(view: AccountView) -> Index:
    """One account per user."""
    return Index(view.account.user_id, "account")


CREDITS_VIEW = Projection(
    "credits", 2, CREDITS, AccountView, apply, index, has_lines=True,
    changes={
        2: ("body.account.grants", "body.account.revoked", "body.account.debt",
            "line.body.purchase_id"),
    },
)  # fmt: skip
