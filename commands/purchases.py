"""Commands on purchases: what the payment provider tells, and the credits that follow from it.

Each is a message that may come again, late or out of order; see ``domain.purchase``. What it
means for the account is committed in the same transaction, so there is no state in which money
came and the credits did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from domain import credits, purchase
from domain.aggregate import Event
from domain.commit import Append, Loaded, Meta
from domain.credits import CREDITS, CreditsGranted, CreditsRevoked, CreditState
from domain.errors import PurchaseUnknown
from domain.grants import BOUGHT
from domain.ids import derived
from domain.packs import Pack
from domain.purchase import PURCHASE, CheckoutOpened, Claim, Payment, PurchasePaid, PurchaseState

REFUND, DISPUTE, REINSTATEMENT = "refund", "dispute", "reinstatement"


class OpenCheckout(Command, frozen=True):
    """The provider has a page on which the user can pay for the pack."""

    user_id: str
    purchase_id: str
    session_id: str
    pack: Pack


class RecordPending(Command, frozen=True):
    """The user is done; the money is on its way."""

    purchase_id: str
    payment: Payment


class RecordPayment(Command, frozen=True):
    """The money is there."""

    purchase_id: str
    payment: Payment


class RecordLapse(Command, frozen=True):
    """Nobody paid on that page. reason: expired or payment_failed."""

    purchase_id: str
    session_id: str
    reason: str


class RecordRefund(Command, frozen=True):
    """The charge says how much of it went back so far. refunded: minor units, cumulative."""

    purchase_id: str
    refunded: int


class NoteRefund(Command, frozen=True):
    """How one refund stands."""

    purchase_id: str
    refund_id: str
    claim: Claim


class NoteDispute(Command, frozen=True):
    """How one dispute stands."""

    purchase_id: str
    dispute_id: str
    claim: Claim


@handles(OpenCheckout)
def open_checkout(context: Context, command: OpenCheckout, meta: Meta) -> tuple[Position, ...]:
    """Raises KeyReused when that purchase was for something else."""
    loaded = context.store.load(PURCHASE, PURCHASE.stream(command.purchase_id))
    pack = command.pack
    opened = CheckoutOpened(
        command.user_id, command.purchase_id, command.session_id, pack.name, pack.credits,
        pack.amount, pack.currency, pack.expires_days,
    )  # fmt: skip
    return context.commit(meta, Append(loaded, purchase.open_checkout(loaded.state, opened)))


@handles(RecordPending)
def record_pending(context: Context, command: RecordPending, meta: Meta) -> tuple[Position, ...]:
    """Raises PurchaseUnknown."""
    loaded = load_purchase(context, command.purchase_id)
    return context.commit(meta, Append(loaded, purchase.pending(loaded.state, command.payment)))


@handles(RecordPayment)
def record_payment(context: Context, command: RecordPayment, meta: Meta) -> tuple[Position, ...]:
    """Grants the credits, once. Raises PurchaseUnknown."""
    loaded = load_purchase(context, command.purchase_id)
    grant_id, now = _grant_id(command.purchase_id), context.clock.now()
    events = purchase.pay(loaded.state, command.payment, grant_id, now)
    return _with_consequences(context, loaded, events, REFUND, meta)


@handles(RecordLapse)
def record_lapse(context: Context, command: RecordLapse, meta: Meta) -> tuple[Position, ...]:
    """Raises PurchaseUnknown."""
    loaded = load_purchase(context, command.purchase_id)
    events = purchase.lapse(loaded.state, command.session_id, command.reason)
    return context.commit(meta, Append(loaded, events))


@handles(RecordRefund)
def record_refund(context: Context, command: RecordRefund, meta: Meta) -> tuple[Position, ...]:
    """Revokes credits in proportion. Raises PurchaseUnknown."""
    loaded = load_purchase(context, command.purchase_id)
    events = purchase.refund_charge(loaded.state, command.refunded)
    return _with_consequences(context, loaded, events, REFUND, meta)


@handles(NoteRefund)
def note_refund(context: Context, command: NoteRefund, meta: Meta) -> tuple[Position, ...]:
    """Revokes credits in proportion, or gives them back when it failed. Raises PurchaseUnknown."""
    loaded = load_purchase(context, command.purchase_id)
    events = purchase.note_refund(loaded.state, command.refund_id, command.claim)
    return _with_consequences(context, loaded, events, REFUND, meta)


@handles(NoteDispute)
def note_dispute(context: Context, command: NoteDispute, meta: Meta) -> tuple[Position, ...]:
    """Revokes credits while a bank holds the money; gives them back when it comes again.

    Raises PurchaseUnknown.
    """
    loaded = load_purchase(context, command.purchase_id)
    events = purchase.note_dispute(loaded.state, command.dispute_id, command.claim)
    return _with_consequences(context, loaded, events, DISPUTE, meta)


def load_purchase(context: Context, purchase_id: str) -> Loaded[PurchaseState]:
    """The purchase as it stands. Raises PurchaseUnknown."""
    loaded = context.store.load(PURCHASE, PURCHASE.stream(purchase_id))
    if not loaded.version:
        raise PurchaseUnknown(
            f"{purchase_id} is not on record here. If it is not a matter of seconds, "
            "`splitsound payments reconcile` finds out."
        )
    return loaded


def _with_consequences(
    context: Context,
    loaded: Loaded[PurchaseState],
    events: Sequence[Event],
    source: str,
    meta: Meta,
) -> tuple[Position, ...]:
    then = purchase.after(loaded.state, events)
    paid = next((e for e in events if isinstance(e, PurchasePaid)), None)
    revoke = then.revoked - loaded.state.revoked
    if not paid and not revoke:
        return context.commit(meta, Append(loaded, events))
    agreed = then.agreed
    account = account_of(context, agreed.user_id)
    now = moment(context, account)
    book = _Book(account, now)
    if paid:
        book.grant(agreed, paid.grant_id, BOUGHT, agreed.credits, then.expires)
    if revoke > 0:
        book.revoke(agreed, source, revoke)
    if revoke < 0:
        again = derived("grt", agreed.purchase_id, REINSTATEMENT, str(loaded.version))
        # What comes back lasts no longer than it would have: a dispute is no way to keep it.
        book.grant(agreed, again, REINSTATEMENT, -revoke, then.expires)
    return context.commit(meta, Append(loaded, events), Append(account, book.events))


class _Book:
    """Decisions on one account, one after the other; the loaded state stays as it was."""

    def __init__(self, account: Loaded[CreditState], now: int) -> None:
        self._state = deepcopy(account.state)
        self._now = now
        self.events: list[Event] = []

    def grant(
        self, agreed: CheckoutOpened, grant_id: str, source: str, amount: int, expires: int | None
    ) -> None:
        given = CreditsGranted(
            agreed.user_id, grant_id, source, amount, expires, purchase_id=agreed.purchase_id
        )
        self._take(credits.grant(self._state, given, self._now))

    def revoke(self, agreed: CheckoutOpened, source: str, amount: int) -> None:
        wanted = CreditsRevoked(agreed.user_id, source, amount, (), purchase_id=agreed.purchase_id)
        # What was bought, before anything that was given.
        first = _grant_id(agreed.purchase_id)
        self._take(credits.revoke(self._state, wanted, first, self._now))

    def _take(self, events: list[Event]) -> None:
        self._state = CREDITS.fold(events, self._state)
        self.events += events


def _grant_id(purchase_id: str) -> str:
    return derived("grt", purchase_id)
