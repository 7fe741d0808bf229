"""Accounts: how they are loaded, and what administrators may do to them."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.repetition import committed, reused
from domain import credits
from domain.aggregate import Event
from domain.commit import Append, Loaded, Meta
from domain.credits import CREDITS, CreditsGranted, CreditsRevoked, CreditState
from domain.errors import Invalid, NotFound
from domain.ids import derived
from domain.reasons import stated

ADJUSTMENT, PROMOTION = "adjustment", "promotion"


class AdjustCredits(Command, frozen=True):
    """Give an account credits, or (a negative amount) take some of what it can spend.

    source: adjustment, or promotion for a gift. expires: epoch ms. priority: low is spent first.
    """

    user_id: str
    amount: int
    reason: str
    source: str = ADJUSTMENT
    expires: int | None = None
    priority: int = 100


@handles(AdjustCredits)
def adjust_credits(context: Context, command: AdjustCredits, meta: Meta) -> tuple[Position, ...]:
    """The same command (by its command id) acts once. Raises Invalid, NotFound, Refused."""
    account = account_of(context, command.user_id)
    if not account.version:
        raise NotFound(f"{command.user_id} has no credit account.")
    reason = stated(command.reason)
    source = command.source if command.amount > 0 else ADJUSTMENT
    if _repeated(context, account, meta, (command.amount, reason, source)):
        return (Position(account.tip.stream, account.version),)
    now = moment(context, account)
    if command.source not in (ADJUSTMENT, PROMOTION):
        raise Invalid(f"Credits are given as {ADJUSTMENT} or {PROMOTION}, not {command.source!r}.")
    if command.amount < 0:
        taken = CreditsRevoked(
            command.user_id, ADJUSTMENT, credits.checked(-command.amount), (), reason=reason
        )
        return context.commit(meta, Append(account, credits.take_away(account.state, taken, now)))
    if command.expires is not None and command.expires <= now:
        raise Invalid("These credits would be over before they are there; name a later time.")
    given = CreditsGranted(
        command.user_id, derived("grt", command.user_id, meta.cmd), command.source,
        command.amount, command.expires, command.priority, reason=reason,
    )  # fmt: skip
    return context.commit(meta, Append(account, credits.grant(account.state, given, now)))


def account_of(context: Context, user_id: str) -> Loaded[CreditState]:
    """A user's account as it stands."""
    return context.store.load(CREDITS, CREDITS.stream(user_id))


def moment(context: Context, account: Loaded[CreditState]) -> int:
    """Now, for this account (epoch ms): never before its last commit, whatever clocks say."""
    return max(context.clock.now(), account.tip.t)


def _repeated(
    context: Context, account: Loaded[CreditState], meta: Meta, wanted: tuple[int, str, str]
) -> bool:
    """Whether this command stands there already. Raises KeyReused where it said otherwise."""
    said = [_movement(event) for event in committed(context, account, meta)]
    if said and wanted not in said:
        raise reused()
    return bool(said)


def _movement(event: Event) -> tuple[int, str, str]:
    match event:
        case CreditsGranted():
            return event.amount, event.reason, event.source
        case CreditsRevoked():
            return -event.amount, event.reason, event.source
    return 0, "", ""
