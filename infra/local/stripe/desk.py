"""What the stand-in does, one transaction each: the API, the pages and time itself come here."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable
from typing import Any

import msgspec
import stripe
from msgspec import Struct

from infra.local.stripe import paying
from infra.local.stripe.errors import missing
from infra.local.stripe.objects import (
    Cause,
    Charge,
    CheckoutSession,
    Dispute,
    Event,
    Order,
    PaymentIntent,
    Refund,
    Stored,
)
from infra.local.stripe.parameters import NewSession
from infra.local.stripe.paying import Change, Happening, Moment, Purchase
from infra.local.stripe.store import Store, Transaction

DELIVERED = frozenset(
    {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.refunded",
        "charge.succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "payment_intent.succeeded",
        "refund.created",
        "refund.failed",
        "refund.updated",
    }
)
"""The events that the webhook endpoint is subscribed to; others are only listed."""

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTHS = {"cs_test_": 58}


def new_id(prefix: str) -> str:
    """As long and as random as Stripe's."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTHS.get(prefix, 24)))


class Place(Struct, frozen=True):
    """Where the stand-in is. url: its own, without a slash at the end; webhook: where events go,
    nowhere when it is empty; settle_seconds: how long a bank payment takes.
    """

    url: str
    webhook: str = ""
    settle_seconds: float = 10.0

    def page(self, session: str) -> str:
        """The address of a session's page."""
        return f"{self.url}/c/pay/{session}"


class Desk:
    """The rules over the store. ``on_event`` hears, in any thread, that there is something new."""

    def __init__(self, store: Store, place: Place, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.place = place
        self.clock = clock
        self.on_event: Callable[[], None] = lambda: None

    def moment(self) -> Moment:
        """Now, and fresh ids."""
        return Moment(int(self.clock()), new_id)

    def open(self, tx: Transaction, asked: NewSession, cause: Cause) -> CheckoutSession:
        """A new session."""
        change = paying.open_session(asked, self.place.page, self.moment())
        self._save(tx, change, change.answer.id, cause)
        assert isinstance(change.answer, CheckoutSession)
        return change.answer

    def change(
        self,
        tx: Transaction,
        identifier: str,
        decide: Callable[[Purchase], Change],
        cause: Cause = Cause(),  # noqa: B008 (immutable)
        param: str = "id",
    ) -> Stored:
        """Let something happen to the purchase that ``identifier`` (of any part) belongs to."""
        purchase = self.purchase(tx, identifier, param)
        change = decide(purchase)
        self._save(tx, change, purchase.session.id, cause)
        return change.answer

    def purchase(self, tx: Transaction, identifier: str, param: str = "id") -> Purchase:
        """All of the purchase that ``identifier`` belongs to. Raises Refused (404)."""
        session = tx.purchase_of(identifier)
        if session is None:
            raise missing("payment", identifier[:100], param)
        return _assembled(tx.of_purchase(session))

    def pay(self, identifier: str, how: str, email: str | None = None) -> None:
        """Submit the page: ``card``, ``bank`` or ``failing_bank``."""
        at = self.moment()

        def paid(purchase: Purchase) -> Change:
            if how == "card":
                return paying.pay_by_card(purchase, email, at)
            settles_at = int(at.now + self.place.settle_seconds)
            return paying.pay_by_bank(purchase, email, settles_at, how == "failing_bank", at)

        with self.store.transaction() as tx:
            self.change(tx, identifier, paid)
        self.on_event()

    def act(self, identifier: str, decide: Callable[[Purchase], Change]) -> str:
        """Somebody clicked on the dashboard; the purchase's session, for a link to it."""
        with self.store.transaction() as tx:
            self.change(tx, identifier, decide)
            session = tx.purchase_of(identifier) or ""
        self.on_event()
        return session

    def send_again(self, event: str) -> None:
        """Deliver an event once more, whether or not it was accepted. Raises Refused (404)."""
        with self.store.transaction() as tx:
            if tx.delivery(event) is None:
                raise missing("event", event[:100])
            tx.enqueue(event, self.clock())
        self.on_event()

    def pass_time(self) -> None:
        """Expire the sessions and settle the bank payments whose time has come."""
        with self.store.transaction() as tx:
            for kind, session in tx.due(self.clock()):
                purchase = _assembled(tx.of_purchase(session))
                if kind == "checkout.session":
                    change = paying.expire(purchase)
                elif purchase.order.fails:
                    change = paying.fail_payment(purchase)
                else:
                    change = paying.settle(purchase)
                self._save(tx, change, session, Cause())

    def _save(self, tx: Transaction, change: Change, session: str, cause: Cause) -> None:
        for thing in change.objects:
            tx.save(thing, session)
        for happening in change.happenings:
            delivered = bool(self.place.webhook) and happening.type in DELIVERED
            event = self._event(happening, delivered, cause)
            tx.save(event, session)
            if delivered:
                tx.enqueue(event.id, self.clock())

    def _event(self, happening: Happening, delivered: bool, cause: Cause) -> Event:
        data: dict[str, Any] = {"object": msgspec.to_builtins(happening.object)}
        if happening.previous is not None:
            data["previous_attributes"] = happening.previous
        return Event(
            id=new_id("evt_"),
            created=int(self.clock()),
            api_version=stripe.api_version,
            data=data,
            pending_webhooks=int(delivered),
            request=cause,
            type=happening.type,
        )


def _assembled(things: list[Stored]) -> Purchase:
    """The parts of a purchase, by what they are."""
    session = next(one for one in things if isinstance(one, CheckoutSession))
    return Purchase(
        session,
        next(one for one in things if isinstance(one, Order)),
        next((one for one in things if isinstance(one, PaymentIntent)), None),
        next((one for one in things if isinstance(one, Charge)), None),
        [one for one in things if isinstance(one, Refund)],
        [one for one in things if isinstance(one, Dispute)],
    )
