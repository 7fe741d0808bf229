"""Stripe's objects: the fields that we use, and nothing of the rest.

Every field but the id may be missing: most objects of an account are somebody else's, and an
older or newer API version says less or more. Amounts are minor units, times epoch seconds.

What is kept here is bounded as it is at Stripe: a negative amount taken back would give credits,
and a long id would fill the purchase's row.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from domain.errors import Invalid

T = TypeVar("T")

Id = Annotated[str, Meta(min_length=1, max_length=255)]
Word = Annotated[str, Meta(max_length=255)]
Metadata = dict[str, Annotated[str, Meta(max_length=500)]]
Sum = Annotated[int, Meta(ge=0, le=10**15)]


class PaymentIntent(Struct, frozen=True, kw_only=True):
    """A payment. metadata: ours, since the checkout session."""

    id: Id
    metadata: Metadata | None = None
    status: Word = ""


class Named(Struct, frozen=True, kw_only=True):
    """Any object that was expanded where its id would do."""

    id: Id


class Session(Struct, frozen=True, kw_only=True):
    """A checkout session. status: open, complete, expired; payment_status: paid, unpaid, ..."""

    id: Id
    status: Word | None = None
    payment_status: Word = ""
    payment_intent: Id | Named | None = None
    client_reference_id: Word | None = None
    amount_total: int | None = None
    currency: Word | None = None
    metadata: Metadata | None = None
    url: str | None = None
    expires_at: int | None = None

    @property
    def payment_id(self) -> str | None:
        """The payment intent's id, whether or not the object was expanded."""
        told = self.payment_intent
        return told.id if isinstance(told, Named) else told


class Charge(Struct, frozen=True, kw_only=True):
    """A charge. metadata: the payment intent's, copied by Stripe. amount_refunded: cumulative."""

    id: Id
    amount_refunded: Sum = 0
    metadata: Metadata | None = None


class Refund(Struct, frozen=True, kw_only=True):
    """A refund. status: pending, requires_action, succeeded, failed, canceled."""

    id: Id
    amount: Sum = 0
    status: Word | None = None
    payment_intent: Id | PaymentIntent | None = None


class Dispute(Struct, frozen=True, kw_only=True):
    """A dispute. status: needs_response, under_review, won, lost, and those of inquiries."""

    id: Id
    amount: Sum = 0
    status: Word = ""
    payment_intent: Id | PaymentIntent | None = None


class _Data(Struct, frozen=True):
    object: dict[str, Any]


class Event(Struct, frozen=True, kw_only=True):
    """A webhook's event. name: its type; what it is about is read once somebody wants it."""

    id: Id
    name: str = field(name="type")
    data: _Data

    def about(self, kind: type[T]) -> T:
        """What it is about. Raises Invalid when it is not such an object."""
        return read(kind, self.data.object)


def read(kind: type[T], told: Any) -> T:
    """The object that Stripe told of. Raises Invalid when it is not one."""
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"Stripe sent a {kind.__name__} that is none: {error}.") from error
