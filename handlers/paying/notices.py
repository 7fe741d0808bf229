"""From what Stripe tells to a command of ours; None for what does not concern us.

An account at Stripe may serve others too: what carries no purchase id of ours in its metadata is
not ours. Objects that have no metadata of ours (refunds, disputes) belong to a payment that has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from commands import (
    NoteDispute,
    NoteRefund,
    OpenCheckout,
    RecordLapse,
    RecordPayment,
    RecordPending,
    RecordRefund,
)
from commands.dispatch import Command
from domain.commit import Meta
from domain.ids import derived
from domain.packs import Pack
from domain.purchase import Claim, Payment
from infra import tracing
from infra.payments.objects import Charge, Dispute, Event, PaymentIntent, Refund, Session

_PURCHASE = re.compile(r"pur_[0-9a-hjkmnp-tv-z]{26}")
_PAID = ("paid", "no_payment_required")


class Payments(Protocol):
    """Where the payment behind a refund or a dispute is looked up."""

    def payment(self, payment_id: str) -> PaymentIntent | None:
        """The payment intent, None when there is none. Raises Unavailable."""


def command(event: Event, payments: Payments) -> Command | None:
    """What to do about the event. Raises Invalid, Unavailable."""
    name = event.name
    if name in _SESSION_EVENTS:
        return _SESSION_EVENTS[name](event.about(Session))
    if name == "charge.refunded":
        return _of_charge(event.about(Charge))
    if name in _REFUND_EVENTS:
        return of_refund(event.about(Refund), payments)
    if name.startswith("charge.dispute."):
        return of_dispute(event.about(Dispute), payments)
    return None


def meta(event: Event, request_id: str) -> Meta:
    """Stripe acts; the same event is the same command."""
    return Meta(
        derived("cmd", "stripe", event.id), "stripe", request_id, event.id, tracing.current()
    )


def purchase_of(metadata: Mapping[str, str] | None) -> str | None:
    """The purchase that the metadata names, if it is one of ours."""
    named = (metadata or {}).get("purchase_id", "")
    return named if _PURCHASE.fullmatch(named) else None


def of_session(session: Session) -> Command | None:
    """What a session says of its payment, as it stands."""
    if session.status == "complete":
        return _completed(session)
    return _lapsed("expired")(session) if session.status == "expired" else None


def opening(session: Session) -> OpenCheckout | None:
    """What must have been agreed, by the session's own account. None when it does not say."""
    told = session.metadata or {}
    purchase_id = purchase_of(told)
    count, days = told.get("credits", ""), told.get("expires_days")
    if not purchase_id or not _is_number(count) or (days and not _is_number(days)):
        return None
    pack = Pack(
        told.get("pack", ""), "", int(count), session.amount_total or 0,
        session.currency or "", int(days) if days else None,
    )  # fmt: skip
    return OpenCheckout(told.get("user_id", ""), purchase_id, session.id, pack)


def of_refund(refund: Refund, payments: Payments) -> NoteRefund | None:
    """How a refund stands."""
    purchase_id = _behind(refund.payment_intent, payments)
    if purchase_id is None:
        return None
    return NoteRefund(purchase_id, refund.id, Claim(refund.amount, refund.status or "pending"))


def of_dispute(dispute: Dispute, payments: Payments) -> NoteDispute | None:
    """How a dispute stands."""
    purchase_id = _behind(dispute.payment_intent, payments)
    if purchase_id is None:
        return None
    return NoteDispute(purchase_id, dispute.id, Claim(dispute.amount, dispute.status))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _payment(session: Session) -> Payment:
    metadata, said = session.metadata or {}, session.client_reference_id
    user_id = metadata.get("user_id", "")
    if said not in (None, user_id):
        user_id = f"{user_id} by its metadata and {said} by its reference"
    return Payment(
        session.id, user_id, session.payment_id, session.amount_total or 0, session.currency or ""
    )


def _completed(session: Session) -> Command | None:
    purchase_id = purchase_of(session.metadata)
    if purchase_id is None:
        return None
    if session.payment_status in _PAID:
        return RecordPayment(purchase_id, _payment(session))
    return RecordPending(purchase_id, _payment(session))


def _lapsed(reason: str) -> Callable[[Session], Command | None]:
    def lapsed(session: Session) -> Command | None:
        purchase_id = purchase_of(session.metadata)
        return RecordLapse(purchase_id, session.id, reason) if purchase_id else None

    return lapsed


def _of_charge(charge: Charge) -> Command | None:
    # Stripe copies the payment intent's metadata to its charges.
    purchase_id = purchase_of(charge.metadata)
    return RecordRefund(purchase_id, charge.amount_refunded) if purchase_id else None


def _behind(payment: str | PaymentIntent | None, payments: Payments) -> str | None:
    if isinstance(payment, str):
        payment = payments.payment(payment)
    return purchase_of(payment.metadata) if payment else None


_SESSION_EVENTS: dict[str, Callable[[Session], Command | None]] = {
    "checkout.session.completed": _completed,
    "checkout.session.async_payment_succeeded": _completed,
    "checkout.session.async_payment_failed": _lapsed("payment_failed"),
    "checkout.session.expired": _lapsed("expired"),
}
_REFUND_EVENTS = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
