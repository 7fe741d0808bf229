"""What happens to a purchase: pure functions from how it stands to what changes.

Each returns a Change, or raises Refused where the state does not allow it. The time and the ids
come in by a Moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from infra.local.stripe.errors import Refused, conflict
from infra.local.stripe.objects import (
    Charge,
    CheckoutSession,
    CustomerDetails,
    Dispute,
    LineItem,
    Order,
    PaymentIntent,
    Refund,
    Stored,
)
from infra.local.stripe.parameters import NewSession, check_session

OPEN_SECONDS = 24 * 3600

_CARD: dict[str, Any] = {
    "type": "card",
    "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034},
}
_BANK: dict[str, Any] = {"type": "sepa_debit", "sepa_debit": {"country": "DE", "last4": "3000"}}


class Moment(Struct, frozen=True):
    """Now, in whole seconds, and fresh ids: ``new_id("re_")``."""

    now: int
    new_id: Callable[[str], str]


class Purchase(Struct, frozen=True):
    """Everything that belongs to one session."""

    session: CheckoutSession
    order: Order
    intent: PaymentIntent | None = None
    charge: Charge | None = None
    refunds: list[Refund] = []
    disputes: list[Dispute] = []


class Happening(Struct, frozen=True):
    """An event to be: its type, the object as it is then, what it was before."""

    type: str
    object: Stored
    previous: dict[str, Any] | None = None


class Change(Struct, frozen=True):
    """Objects to save, in this order, and what to tell. ``answer``: the one that was asked for."""

    answer: Stored
    objects: list[Stored]
    happenings: list[Happening] = []


def open_session(asked: NewSession, url: Callable[[str], str], at: Moment) -> Change:
    """A new session; ``url`` gives the address of its page."""
    total = check_session(asked, at.now)
    identifier = at.new_id("cs_test_")
    session = CheckoutSession(
        id=identifier,
        created=at.now,
        amount_subtotal=total,
        amount_total=total,
        currency=asked.line_items[0].price_data.currency,
        client_reference_id=asked.client_reference_id,
        customer_email=asked.customer_email,
        expires_at=asked.expires_at or at.now + OPEN_SECONDS,
        success_url=asked.success_url,
        cancel_url=asked.cancel_url,
        url=url(identifier),
        metadata=asked.metadata,
        locale=asked.locale,
    )
    order = Order(
        id=f"order_{identifier}",
        created=at.now,
        line_items=_line_items(asked, at),
        details=[line.price_data.product_data.description for line in asked.line_items],
        payment_metadata=asked.payment_intent_data.metadata,
        payment_description=asked.payment_intent_data.description,
    )
    return Change(session, [session, order])


def _line_items(asked: NewSession, at: Moment) -> list[LineItem]:
    return [
        LineItem(
            id=at.new_id("li_"),
            description=line.price_data.product_data.name,
            currency=line.price_data.currency,
            quantity=line.quantity,
            amount_subtotal=line.price_data.unit_amount * line.quantity,
            amount_total=line.price_data.unit_amount * line.quantity,
            price={
                "id": at.new_id("price_"),
                "object": "price",
                "currency": line.price_data.currency,
                "unit_amount": line.price_data.unit_amount,
                "type": "one_time",
            },
        )
        for line in asked.line_items
    ]


def pay_by_card(purchase: Purchase, email: str | None, at: Moment) -> Change:
    """Paid at once."""
    session, intent, charge = _submitted(purchase, email, _CARD, at)
    intent, charge = _money_came(intent, charge)
    session = replace(session, payment_status="paid")
    return Change(
        session,
        [session, intent, charge],
        [
            Happening("payment_intent.succeeded", intent),
            Happening("charge.succeeded", charge),
            Happening("checkout.session.completed", session),
        ],
    )


def pay_by_bank(
    purchase: Purchase, email: str | None, settles_at: int, fails: bool, at: Moment
) -> Change:
    """Submitted, not paid: the money comes at ``settles_at``, or is found to be missing."""
    session, intent, charge = _submitted(purchase, email, _BANK, at)
    order = replace(purchase.order, settles_at=settles_at, fails=fails)
    return Change(
        session,
        [session, order, intent, charge],
        [
            Happening("payment_intent.processing", intent),
            Happening("charge.pending", charge),
            Happening("checkout.session.completed", session),
        ],
    )


def _submitted(
    purchase: Purchase, email: str | None, method: dict[str, Any], at: Moment
) -> tuple[CheckoutSession, PaymentIntent, Charge]:
    session, order = purchase.session, purchase.order
    _check_open(session)
    if session.expires_at <= at.now:
        raise conflict("This Checkout Session has expired.")
    payer = CustomerDetails(email=session.customer_email or email)
    common: dict[str, Any] = {
        "created": at.now,
        "amount": session.amount_total,
        "currency": session.currency,
        "description": order.payment_description,
        "metadata": order.payment_metadata,
    }
    payment, charged = at.new_id("pi_"), at.new_id("ch_")
    intent = PaymentIntent(
        id=payment,
        status="processing",
        latest_charge=charged,
        payment_method_types=session.payment_method_types,
        **common,
    )
    charge = Charge(
        id=charged,
        status="pending",
        payment_intent=payment,
        payment_method_details=method,
        billing_details=payer,
        **common,
    )
    session = replace(
        session, status="complete", payment_intent=payment, customer_details=payer, url=None
    )
    return session, intent, charge


def _money_came(intent: PaymentIntent, charge: Charge) -> tuple[PaymentIntent, Charge]:
    return (
        replace(intent, status="succeeded", amount_received=intent.amount),
        replace(
            charge, status="succeeded", paid=True, captured=True, amount_captured=charge.amount
        ),
    )


def settle(purchase: Purchase) -> Change:
    """The bank's money came."""
    intent, charge = _pending(purchase)
    intent, charge = _money_came(intent, charge)
    session = replace(purchase.session, payment_status="paid")
    order = replace(purchase.order, settles_at=None)
    return Change(
        session,
        [session, order, intent, charge],
        [
            Happening("payment_intent.succeeded", intent),
            Happening("charge.succeeded", charge),
            Happening("checkout.session.async_payment_succeeded", session),
        ],
    )


def fail_payment(purchase: Purchase) -> Change:
    """The bank refused: nothing was paid, and the session stays complete and unpaid."""
    intent, charge = _pending(purchase)
    said = "The customer's account has insufficient funds to cover this payment."
    failed = {"type": "card_error", "code": "insufficient_funds", "message": said}
    intent = replace(intent, status="requires_payment_method", last_payment_error=failed)
    charge = replace(
        charge, status="failed", failure_code="insufficient_funds", failure_message=said
    )
    order = replace(purchase.order, settles_at=None)
    return Change(
        purchase.session,
        [order, intent, charge],
        [
            Happening("payment_intent.payment_failed", intent),
            Happening("charge.failed", charge),
            Happening("checkout.session.async_payment_failed", purchase.session),
        ],
    )


def _pending(purchase: Purchase) -> tuple[PaymentIntent, Charge]:
    if purchase.intent is None or purchase.charge is None or purchase.charge.status != "pending":
        raise conflict("This payment is not waiting for a bank.")
    return purchase.intent, purchase.charge


def expire(purchase: Purchase) -> Change:
    """Nobody can pay it any more."""
    _check_open(purchase.session)
    session = replace(purchase.session, status="expired", url=None)
    return Change(session, [session], [Happening("checkout.session.expired", session)])


def _check_open(session: CheckoutSession) -> None:
    if session.status != "open":
        raise Refused(
            f'Only Checkout Sessions with a status in ["open"] can be used here. This one\'s '
            f"status is `{session.status}`.",
            executed=True,
        )
