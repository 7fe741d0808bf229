"""Credits: the account as it stands, and one statement line per event."""

from __future__ import annotations

from msgspec import Struct, field

from domain import credits
from domain.aggregate import Recorded
from domain.credits import CREDITS, CreditState
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


def apply(view: AccountView, recorded: Recorded) -> list[Struct]:
    """Fold one event and say it as a statement line."""
    view.account = credits.evolve(view.account, recorded.event)
    kind, change, amount, job_id, grant_id, reason = _words(recorded)
    balance = sum(grant.left for grant in view.account.grants.values())
    return [
        StatementLine(
            recorded.version, recorded.time, kind, change, amount, balance,
            job_id, grant_id, reason,
        )
    ]  # fmt: skip


def _words(recorded: Recorded) -> tuple[str, int, int, str | None, str | None, str]:
    match recorded.event:
        case credits.CreditsReserved() as e:
            return "reserve", -e.amount, e.amount, e.job_id, None, "held for a job"
        case credits.CreditsCaptured() as e:
            back = sum(draw.amount for draw in e.returned)
            return "capture", back, e.amount, e.job_id, None, "spent by a job"
        case credits.CreditsReleased() as e:
            return "release", e.amount, e.amount, e.job_id, None, e.reason
        case credits.CreditsGranted() as e:
            return "grant", e.amount, e.amount, e.job_id, e.grant_id, e.source
        case credits.CreditsExpired() as e:
            return "expire", -e.amount, e.amount, None, e.grant_id, "the grant's time was over"
    raise TypeError(f"no statement line for {type(recorded.event).__name__}")


def index(view: AccountView) -> Index:
    """One account per user."""
    return Index(view.account.user_id, "account")


CREDITS_VIEW = Projection("credits", 1, CREDITS, AccountView, apply, index, has_lines=True)
