"""A purchase of credits: a checkout is opened, money comes, and money may be taken back.

The payment provider tells of these things more than once, late and in any order. So what it says
is merged, never counted: of a charge the highest cumulative refund, of each refund and dispute
the furthest status. Any order of the same messages gives the same state, and how many credits
should have been revoked by now is a function of the state alone.

Merging is sound because these things only ever go forward (Stripe: "amount_refunded" is
cumulative; a refund is pending, then succeeded, then may still fail; a dispute is an inquiry,
then open, then won or lost).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from msgspec import Struct
from msgspec.structs import replace

from domain.aggregate import Aggregate, Event
from domain.erased import Erased
from domain.errors import KeyReused

# --- events (these names are the storage format) ---------------------------------------


class CheckoutOpened(Event, frozen=True):
    """The user may pay ``amount`` minor units for ``credits``. session_id: the provider's.

    expires_days: how long the credits will last; None: for ever.
    """

    user_id: str
    purchase_id: str
    session_id: str
    pack: str
    credits: int
    amount: int
    currency: str
    expires_days: int | None = None


class PurchasePending(Event, frozen=True):
    """The user is done and the money is on its way (bank debits and transfers)."""

    payment_id: str | None


class PurchasePaid(Event, frozen=True):
    """The money came; the credits are granted in the same transaction.

    expires: epoch milliseconds, of the credits; None: they last for ever.
    """

    payment_id: str | None
    amount: int
    currency: str
    grant_id: str
    expires: int | None = None


class PurchaseLapsed(Event, frozen=True):
    """Nobody paid. reason: expired or payment_failed."""

    reason: str


class ChargeRefunded(Event, frozen=True):
    """So much of the charge went back so far, in minor units, as the charge says."""

    refunded: int


class RefundNoted(Event, frozen=True):
    """One refund, in minor units. status: pending, requires_action, succeeded, failed, canceled."""

    refund_id: str
    amount: int
    status: str


class DisputeNoted(Event, frozen=True):
    """The payer's bank contests so much, in minor units. status: as the provider names it."""

    dispute_id: str
    amount: int
    status: str


class PurchaseQuestioned(Event, frozen=True):
    """The provider told of a payment that is not what was agreed; nothing was granted for it."""

    what: str


# --- state ------------------------------------------------------------------------------

DAY_MS = 86_400_000
OPEN, PENDING, PAID, LAPSED = "open", "pending", "paid", "lapsed"

# How far a refund or a dispute has come; what is not listed has just begun.
_RANKS = {
    "succeeded": 1, "failed": 2, "canceled": 2,
    "needs_response": 1, "under_review": 1,
    "won": 2, "lost": 2, "warning_closed": 2, "prevented": 2,
}  # fmt: skip
_RETURNED = {"pending", "requires_action", "succeeded"}
_CONTESTED = {"needs_response", "under_review", "lost"}


class Claim(Struct, frozen=True):
    """A refund or a dispute: minor units, and how it stands."""

    amount: int
    status: str

    def merged(self, other: Claim | None) -> Claim:
        """Whichever is further; the same whoever comes first."""
        return max(self, other, key=_place) if other else self


def _place(claim: Claim) -> tuple[int, str, int]:
    return (_RANKS.get(claim.status, 0), claim.status, claim.amount)


class PurchaseState(Struct):
    """refunded: the highest sum that the charge told; paid, refunded: minor units.

    expires: epoch milliseconds, of the credits that were granted.
    """

    opened: CheckoutOpened | None = None
    status: str = OPEN
    payment_id: str | None = None
    paid: int = 0
    refunded: int = 0
    refunds: dict[str, Claim] = {}
    disputes: dict[str, Claim] = {}
    questions: list[str] = []
    expires: int | None = None

    @property
    def agreed(self) -> CheckoutOpened:
        """What was opened; only of a purchase that exists."""
        assert self.opened is not None
        return self.opened

    @property
    def taken_back(self) -> int:
        """Minor units of the payment that went back, or that a bank holds back."""
        live = _sum(self.refunds, _RETURNED)
        failed = _sum(self.refunds, {"failed", "canceled"})
        # The charge's sum still counts a refund that failed later.
        refunded = max(live, self.refunded - failed)
        return min(self.paid, refunded + _sum(self.disputes, _CONTESTED))

    @property
    def revoked(self) -> int:
        """Credits that must have been revoked: in proportion, fractions in the user's favour."""
        return self.agreed.credits * self.taken_back // self.paid if self.paid else 0

    @property
    def contested(self) -> bool:
        """Whether a bank holds money of it back now, or kept it."""
        return _sum(self.disputes, _CONTESTED) > 0


def _sum(claims: dict[str, Claim], statuses: set[str]) -> int:
    return sum(c.amount for c in claims.values() if c.status in statuses)


def evolve(state: PurchaseState, event: Event) -> PurchaseState:
    """Fold one event."""
    match event:
        case CheckoutOpened():
            state.opened = event
        case PurchasePending():
            state.status, state.payment_id = PENDING, event.payment_id
        case PurchasePaid():
            state.status, state.payment_id, state.paid = PAID, event.payment_id, event.amount
            state.expires = event.expires
        case PurchaseLapsed():
            state.status = LAPSED
        case ChargeRefunded():
            state.refunded = event.refunded
        case RefundNoted():
            state.refunds[event.refund_id] = Claim(event.amount, event.status)
        case DisputeNoted():
            state.disputes[event.dispute_id] = Claim(event.amount, event.status)
        case PurchaseQuestioned():
            state.questions.append(event.what)
    return state


EVENTS = (
    CheckoutOpened, PurchasePending, PurchasePaid, PurchaseLapsed, ChargeRefunded, RefundNoted,
    DisputeNoted, PurchaseQuestioned, Erased,
)  # fmt: skip
PURCHASE = Aggregate("purchase", EVENTS, PurchaseState, evolve)

# --- decisions --------------------------------------------------------------------------


class Payment(Struct, frozen=True):
    """What the provider tells of a finished checkout. user_id: whose it is, by its own account."""

    session_id: str
    user_id: str
    payment_id: str | None
    amount: int
    currency: str


def open_checkout(state: PurchaseState, opened: CheckoutOpened) -> list[Event]:
    """The same purchase again changes nothing, whatever session stands for it by now.

    Raises KeyReused when it was for something else.
    """
    if state.opened is None:
        return [opened]
    if replace(opened, session_id=state.opened.session_id) != state.opened:
        raise KeyReused("This Idempotency-Key bought something else; send a new key.")
    return []


def pending(state: PurchaseState, payment: Payment) -> list[Event]:
    """The user is done, the money is not there yet."""
    if state.status != OPEN:
        return []
    return _unless_doubted(state, payment, PurchasePending(payment.payment_id))


def pay(state: PurchaseState, payment: Payment, grant_id: str, now: int) -> list[Event]:
    """The money is there: once. What is not what was agreed is put on record and grants nothing.

    now: epoch milliseconds, from which the credits last as long as was agreed.
    """
    if state.status == PAID:
        return []
    days = state.agreed.expires_days
    expires = now + days * DAY_MS if days else None
    paid = PurchasePaid(payment.payment_id, payment.amount, payment.currency, grant_id, expires)
    return _unless_doubted(state, payment, paid)


def lapse(state: PurchaseState, session_id: str, reason: str) -> list[Event]:
    """Nobody paid; of what was paid or has lapsed before, it says nothing.

    Nor does the end of another page, which a crash before it was on record may have left behind.
    """
    ours = session_id == state.agreed.session_id
    return [PurchaseLapsed(reason)] if ours and state.status in (OPEN, PENDING) else []


def refund_charge(state: PurchaseState, refunded: int) -> list[Event]:
    """The charge's cumulative refund; only a higher one is news."""
    return [ChargeRefunded(refunded)] if refunded > state.refunded else []


def note_refund(state: PurchaseState, refund_id: str, claim: Claim) -> list[Event]:
    """One refund's status; only a further one is news."""
    known = state.refunds.get(refund_id)
    news = claim.merged(known)
    return [] if news == known else [RefundNoted(refund_id, news.amount, news.status)]


def note_dispute(state: PurchaseState, dispute_id: str, claim: Claim) -> list[Event]:
    """A dispute's status; only a further one is news."""
    known = state.disputes.get(dispute_id)
    news = claim.merged(known)
    return [] if news == known else [DisputeNoted(dispute_id, news.amount, news.status)]


def after(state: PurchaseState, events: Sequence[Event]) -> PurchaseState:
    """The state that the events will give; ``state`` stays as it is."""
    return PURCHASE.fold(events, deepcopy(state))


def doubts(state: PurchaseState, payment: Payment) -> list[str]:
    """How the payment is not what was agreed, in words; nothing where it is."""
    agreed = state.agreed
    compared = (
        ("the session", payment.session_id, agreed.session_id),
        ("the user", payment.user_id, agreed.user_id),
        ("the price", f"{payment.amount} {payment.currency}", f"{agreed.amount} {agreed.currency}"),
    )
    return [f"{what} is {told}, agreed was {said}" for what, told, said in compared if told != said]


def _unless_doubted(state: PurchaseState, payment: Payment, event: Event) -> list[Event]:
    doubted = doubts(state, payment)
    if not doubted:
        return [event]
    return [PurchaseQuestioned(what) for what in doubted if what not in state.questions]
