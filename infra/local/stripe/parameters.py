"""What may be asked of the API, and what of it is valid."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from infra.local.stripe.errors import Refused
from infra.local.stripe.objects import Metadata

MINIMUM = 50
"""The least that can be paid, in minor units; also Stripe's for most currencies."""
MAXIMUM = 99_999_999
_MIN_OPEN_SECONDS, _MAX_OPEN_SECONDS = 30 * 60, 24 * 3600
# The seconds that a request was on its way must not refuse exactly half an hour.
_LENIENCE_SECONDS = 60


class Query(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every call takes."""

    expand: list[str] = []


class ProductData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product made up for one line."""

    name: str
    description: str = ""
    metadata: Metadata = {}
    images: list[str] = []
    tax_code: str = ""


class PriceData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price made up for one line; minor units."""

    currency: str
    unit_amount: int
    product_data: ProductData
    tax_behavior: str = ""


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to buy, so many times."""

    price_data: PriceData
    quantity: int


class PaymentIntentData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For the payment that the session makes."""

    metadata: Metadata = {}
    description: str | None = None
    receipt_email: str = ""
    statement_descriptor: str = ""
    statement_descriptor_suffix: str = ""


class NewSession(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/checkout/sessions``; what changes nothing here is taken as ``Any``."""

    mode: str
    line_items: list[Line]
    success_url: str
    cancel_url: str | None = None
    client_reference_id: str | None = None
    customer_email: str | None = None
    expires_at: int | None = None
    locale: str | None = None
    metadata: Metadata = {}
    payment_intent_data: PaymentIntentData = PaymentIntentData()
    payment_method_types: list[str] = []
    adaptive_pricing: Any = None
    allow_promotion_codes: Any = None
    automatic_tax: Any = None
    billing_address_collection: Any = None
    custom_text: Any = None
    customer_creation: Any = None
    integration_identifier: Any = None
    submit_type: Any = None
    ui_mode: Any = None


class NewRefund(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/refunds``: of a charge or its payment; the rest of it when no amount is named."""

    charge: str | None = None
    payment_intent: str | None = None
    amount: int | None = None
    reason: str | None = None
    metadata: Metadata = {}


class Range(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on ``created``, in seconds."""

    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


class Listing(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every list takes, and what some do; newest first."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: Range | int | None = None
    payment_intent: str | None = None
    charge: str | None = None
    status: str | None = None
    type: str | None = None
    types: list[str] = []


def check_session(asked: NewSession, now: int) -> int:
    """The session's total in minor units. Raises Refused as Stripe does."""
    if asked.mode != "payment":
        raise Refused("The local stand-in knows the mode `payment` only.", param="mode")
    if asked.ui_mode not in {None, "hosted", "hosted_page"}:
        raise Refused("The local stand-in has a hosted page only.", param="ui_mode")
    if not asked.line_items:
        raise Refused("At least one line item is required.", param="line_items")
    for number, line in enumerate(asked.line_items):
        _check_line(line, f"line_items[{number}]")
    currencies = {line.price_data.currency for line in asked.line_items}
    if len(currencies) > 1:
        raise Refused("All line items must have the same currency.", param="line_items")
    total = sum(line.price_data.unit_amount * line.quantity for line in asked.line_items)
    if total < MINIMUM:
        raise Refused(
            f"The Checkout Session's total amount due must add up to at least {MINIMUM} "
            f"{currencies.pop()} (minor units).",
            code="amount_too_small",
        )
    if total > MAXIMUM:
        raise Refused(f"The total amount must be at most {MAXIMUM}.", code="amount_too_large")
    _check_rest(asked, now)
    return total


def _check_rest(asked: NewSession, now: int) -> None:
    _check_url(asked.success_url, "success_url")
    if asked.cancel_url is not None:
        _check_url(asked.cancel_url, "cancel_url")
    if len(asked.client_reference_id or "") > 200:
        raise Refused("At most 200 characters.", param="client_reference_id")
    if asked.expires_at is not None:
        _check_expiry(asked.expires_at, now)
    check_metadata(asked.metadata, "metadata")
    check_metadata(asked.payment_intent_data.metadata, "payment_intent_data[metadata]")


def _check_line(line: Line, where: str) -> None:
    price = line.price_data
    if not re.fullmatch(r"[a-z]{3}", price.currency):
        raise Refused(
            f"Invalid currency: {price.currency[:20]}. Give three lowercase letters, such as eur.",
            param=f"{where}[price_data][currency]",
        )
    if price.unit_amount < 1:
        raise Refused(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param=f"{where}[price_data][unit_amount]",
        )
    if not 1 <= line.quantity <= 999_999:
        raise Refused(
            "This value must be between 1 and 999999.",
            code="parameter_invalid_integer",
            param=f"{where}[quantity]",
        )
    if not price.product_data.name.strip():
        raise Refused(
            "A product needs a name.",
            code="parameter_invalid_empty",
            param=f"{where}[price_data][product_data][name]",
        )


def _check_url(url: str, param: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid or len(url) > 5000 or any(ord(c) <= 32 for c in url):
        raise Refused("Not a valid URL", code="url_invalid", param=param)


def _check_expiry(expires_at: int, now: int) -> None:
    if expires_at < now + _MIN_OPEN_SECONDS - _LENIENCE_SECONDS:
        raise Refused(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session "
            "creation.",
            param="expires_at",
        )
    if expires_at > now + _MAX_OPEN_SECONDS + _LENIENCE_SECONDS:
        raise Refused(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )


def check_metadata(metadata: Metadata, param: str) -> None:
    """Raises Refused beyond 50 keys of 40 characters with values of 500."""
    if len(metadata) > 50:
        raise Refused("Metadata can have up to 50 keys.", param=param)
    for key, value in metadata.items():
        if len(key) > 40 or len(value) > 500:
            raise Refused(
                "Metadata keys have up to 40 characters, values up to 500.",
                param=f"{param}[{key[:40]}]",
            )
