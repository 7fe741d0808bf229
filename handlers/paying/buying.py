"""Buying a pack: a page at Stripe, then the record of it here.

In this order nothing is lost between the two. The page is bound to the purchase by Stripe's own
idempotency key, so whoever asks again gets the same page and then the record. Were it paid
before, its webhook is refused as purchase_unknown, and Stripe sends it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from commands import OpenCheckout, Position, execute
from domain.commit import Meta
from domain.errors import Invalid, KeyReused, NotFound, NothingForSale
from domain.packs import named
from domain.purchase import OPEN, PURCHASE, PurchaseState
from infra.bootstrap import Application
from infra.payments.objects import Session

if TYPE_CHECKING:
    from infra.payments.gateway import StripePayments


class Checkout(Struct, frozen=True):
    """A purchase, and its page while it is open. state: of what was agreed."""

    position: Position
    state: PurchaseState
    page: Session | None


def shop(application: Application) -> StripePayments:
    """Where it is paid. Raises NothingForSale."""
    if application.payments is None:
        raise NothingForSale("Nothing is sold here: this deployment takes no payments.")
    return application.payments


def buy(
    application: Application, user_id: str, purchase_id: str, pack_name: str, meta: Meta
) -> Checkout:
    """Open the purchase, or find it as it is.

    Raises NothingForSale, UnknownPack, KeyReused, Unavailable.
    """
    payments = shop(application)
    known = _known(application, payments, purchase_id, pack_name)
    if known is not None:
        return known
    pack = named(application.packs, pack_name)
    page = payments.open_checkout(purchase_id, user_id, pack)
    opening = OpenCheckout(user_id, purchase_id, page.id, pack)
    execute(application.context, opening, meta)
    found = _known(application, payments, purchase_id, pack_name, page)
    assert found is not None
    return found


def _known(
    application: Application,
    payments: StripePayments,
    purchase_id: str,
    pack_name: str,
    page: Session | None = None,
) -> Checkout | None:
    loaded = application.store.load(PURCHASE, PURCHASE.stream(purchase_id))
    if not loaded.version:
        return None
    state: PurchaseState = loaded.state
    if state.agreed.pack != pack_name:
        raise KeyReused(
            f"This Idempotency-Key bought {state.agreed.pack!r}; send a new key for {pack_name!r}."
        )
    if page is not None and page.id != state.agreed.session_id:
        _close(payments, page.id)
        page = None
    position = Position(loaded.tip.stream, loaded.version)
    return Checkout(position, state, page or _page(payments, state))


def _page(payments: StripePayments, state: PurchaseState) -> Session | None:
    if state.status != OPEN:
        return None
    try:
        page = payments.session(state.agreed.session_id)
    except NotFound:
        return None
    return page if page.status == "open" else None


def _close(payments: StripePayments, session_id: str) -> None:
    """Of two pages for one purchase the recorded one counts; nobody is to pay on the other."""
    try:
        payments.expire(session_id)
    except Invalid:
        return  # it is closed already
