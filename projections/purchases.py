"""Purchases: what a user bought, whether it is paid, and what of it was taken back."""

from __future__ import annotations

from msgspec import Struct, field

from domain import purchase
from domain.aggregate import Recorded
from domain.purchase import PURCHASE, PurchaseState
from projections.projection import Index, Projection


class PurchaseView(Struct):
    """A purchase's state and its times. opened_at, paid_at, updated_at: epoch milliseconds.

    why: of one that lapsed, expired or payment_failed.
    """

    opened_at: int = 0
    paid_at: int | None = None
    updated_at: int = 0
    why: str = ""
    state: PurchaseState = field(default_factory=PurchaseState)


def apply(view: PurchaseView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    view.state = purchase.evolve(view.state, recorded.event)
    view.updated_at = recorded.time
    match recorded.event:
        case purchase.CheckoutOpened():
            view.opened_at = recorded.time
        case purchase.PurchasePaid():
            view.paid_at = recorded.time
        case purchase.PurchaseLapsed() as lapsed:
            view.why = lapsed.reason
    return []


def index(view: PurchaseView) -> Index:
    """A user's purchases, by when they were opened."""
    opened = view.state.agreed
    return Index(opened.user_id, f"{view.opened_at:015d}#{opened.purchase_id}")


PURCHASES_VIEW = Projection("purchases", 1, PURCHASE, PurchaseView, apply, index)
