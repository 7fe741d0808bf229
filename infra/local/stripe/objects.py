"""Stripe's objects as Stripe documents them: the fields that a purchase touches.

Amounts are integers in the currency's minor unit, times whole seconds since 1970 (UTC). What
Stripe has and these leave out is about features that the stand-in does not have.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

Metadata = dict[str, str]
SessionStatus = Literal["open", "complete", "expired"]
DisputeStatus = Literal["needs_response", "under_review", "won", "lost"]

_ZEROS = ("amount_discount", "amount_shipping", "amount_tax")


class _Object(Struct, frozen=True, kw_only=True):
    """What every object has."""

    id: str
    created: int
    livemode: bool = False


class CustomerDetails(Struct, frozen=True, kw_only=True):
    """Who paid, as far as the page asked."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None
    address: None = None


class CheckoutSession(_Object, frozen=True, kw_only=True):
    """One visit to the pay page. ``payment_intent`` is null until somebody pays."""

    object: Literal["checkout.session"] = "checkout.session"
    amount_subtotal: int
    amount_total: int
    currency: str
    status: SessionStatus = "open"
    payment_status: Literal["unpaid", "paid"] = "unpaid"
    payment_intent: str | None = None
    client_reference_id: str | None = None
    customer: None = None
    customer_email: str | None = None
    customer_details: CustomerDetails | None = None
    expires_at: int
    success_url: str
    cancel_url: str | None = None
    url: str | None = None
    metadata: Metadata = field(default_factory=dict)
    mode: Literal["payment"] = "payment"
    ui_mode: Literal["hosted"] = "hosted"
    locale: str | None = None
    payment_method_types: list[str] = field(default_factory=lambda: ["card", "sepa_debit"])
    total_details: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_ZEROS, 0))


class LineItem(Struct, frozen=True, kw_only=True):
    """One thing that is bought."""

    id: str
    object: Literal["item"] = "item"
    description: str
    currency: str
    quantity: int
    amount_subtotal: int
    amount_total: int
    amount_discount: int = 0
    amount_tax: int = 0
    price: dict[str, Any]


class Order(_Object, frozen=True, kw_only=True):
    """What a session will need once it is paid; never answered as such.

    details: the rest of the product's text for the page. settles_at and fails: what a bank payment
    under way is going to do.
    """

    object: Literal["order"] = "order"
    line_items: list[LineItem]
    details: list[str] = field(default_factory=list)
    payment_metadata: Metadata = field(default_factory=dict)
    payment_description: str | None = None
    settles_at: int | None = None
    fails: bool = False


class PaymentIntent(_Object, frozen=True, kw_only=True):
    """A payment; made when the page is submitted."""

    object: Literal["payment_intent"] = "payment_intent"
    amount: int
    amount_capturable: int = 0
    amount_received: int = 0
    capture_method: str = "automatic_async"
    currency: str
    customer: None = None
    description: str | None = None
    last_payment_error: dict[str, Any] | None = None
    latest_charge: str | None = None
    metadata: Metadata = field(default_factory=dict)
    payment_method_types: list[str]
    status: Literal["processing", "succeeded", "requires_payment_method"]


class Charge(_Object, frozen=True, kw_only=True):
    """The money of a payment. ``amount_refunded`` is cumulative."""

    object: Literal["charge"] = "charge"
    amount: int
    amount_captured: int = 0
    amount_refunded: int = 0
    balance_transaction: None = None
    billing_details: CustomerDetails = CustomerDetails()
    captured: bool = False
    currency: str
    customer: None = None
    description: str | None = None
    disputed: bool = False
    failure_code: str | None = None
    failure_message: str | None = None
    metadata: Metadata = field(default_factory=dict)
    paid: bool = False
    payment_intent: str
    payment_method_details: dict[str, Any]
    receipt_url: None = None
    refunded: bool = False
    status: Literal["pending", "succeeded", "failed"]


class Refund(_Object, frozen=True, kw_only=True):
    """Money on its way back."""

    object: Literal["refund"] = "refund"
    amount: int
    balance_transaction: None = None
    charge: str
    currency: str
    failure_reason: str | None = None
    metadata: Metadata = field(default_factory=dict)
    payment_intent: str
    reason: str | None = None
    receipt_number: None = None
    status: Literal["succeeded", "failed"] = "succeeded"


class Dispute(_Object, frozen=True, kw_only=True):
    """A buyer's bank wants the money back."""

    object: Literal["dispute"] = "dispute"
    amount: int
    balance_transactions: list[Any] = field(default_factory=list)
    charge: str
    currency: str
    evidence: dict[str, Any] = field(default_factory=dict)
    evidence_details: dict[str, Any]
    is_charge_refundable: bool = False
    metadata: Metadata = field(default_factory=dict)
    payment_intent: str
    reason: str
    status: DisputeStatus = "needs_response"


class Cause(Struct, frozen=True):
    """The API request behind an event; both null when a person or time caused it."""

    id: str | None = None
    idempotency_key: str | None = None


class Event(_Object, frozen=True, kw_only=True):
    """Something happened to ``data["object"]``, which is a copy as of then."""

    object: Literal["event"] = "event"
    api_version: str
    data: dict[str, Any]
    pending_webhooks: int
    request: Cause
    type: str


Stored = CheckoutSession | Order | PaymentIntent | Charge | Refund | Dispute | Event
KINDS: dict[str, type[Stored]] = {
    "checkout.session": CheckoutSession,
    "order": Order,
    "payment_intent": PaymentIntent,
    "charge": Charge,
    "refund": Refund,
    "dispute": Dispute,
    "event": Event,
}
