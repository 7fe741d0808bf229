"""The real SDK buys at the stand-in, and money goes back."""

from __future__ import annotations

import time

import pytest
import stripe

from infra.local.stripe import control
from tests.infra.local_stripe.conftest import Receiver, Server, Shop, until


def paid(shop: Shop, amount: int = 900) -> str:
    """A payment by card; its payment intent."""
    session = shop.session(amount)
    assert session.url
    control.pay(session.url)
    return shop.payment_of(session.id)


def test_a_purchase_by_card(shop: Shop, receiver: Receiver) -> None:
    session = shop.session(customer_email="ada@example.org")
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert (session.amount_total, session.amount_subtotal, session.currency) == (900, 900, "eur")
    assert session.id.startswith("cs_test_")
    assert not session.livemode
    assert session.payment_intent is None
    assert session.expires_at == session.created + 24 * 3600
    assert session.url
    assert control.pay(session.url) == f"http://localhost:5173/done?session={session.id}"

    after = shop.client.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["line_items", "payment_intent.latest_charge"]}
    )
    assert (after.status, after.payment_status, after.url) == ("complete", "paid", None)
    assert after.client_reference_id == "pur_1"
    assert after.metadata
    assert after.metadata.to_dict() == {"purchase": "pur_1"}
    assert after.customer_details
    assert after.customer_details.email == "ada@example.org"
    assert after.line_items
    assert after.line_items.data[0].description == "3 hours of separation"
    payment = after.payment_intent
    assert isinstance(payment, stripe.PaymentIntent)
    assert (payment.status, payment.amount_received) == ("succeeded", 900)
    charge = payment.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.metadata.to_dict() == {"purchase": "pur_1", "kind": "credits"}
    assert (charge.paid, charge.captured, charge.amount_refunded) == (True, True, 0)
    assert shop.client.v1.charges.retrieve(charge.id).payment_intent == payment.id

    parts = (session.id, payment.id, charge.id)
    until(lambda: len(receiver.about(*parts)) == 3)
    assert set(receiver.about(*parts)) == {
        "payment_intent.succeeded",
        "charge.succeeded",
        "checkout.session.completed",
    }
    told = receiver.last("checkout.session.completed", session.id)
    assert told.payment_status == "paid"


def test_paying_twice_changes_nothing(shop: Shop) -> None:
    session = shop.session()
    assert session.url
    control.pay(session.url)
    payment = shop.payment_of(session.id)
    # The page shows how it stands instead.
    assert control.pay(session.url).endswith(f"/c/pay/{session.id}")
    assert shop.payment_of(session.id) == payment
    assert len(shop.client.v1.charges.list(params={"payment_intent": payment}).data) == 1


def test_cancelling_leaves_the_session_open(shop: Shop) -> None:
    session = shop.session()
    assert session.url
    assert control.pay(session.url, "cancel") == "http://localhost:5173/cancelled"
    assert shop.get(session.id).status == "open"


def test_a_shop_without_pages_gets_ours(shop: Shop) -> None:
    session = shop.session(success_url="https://example.com/done", cancel_url=None)
    assert session.url
    assert control.pay(session.url, "cancel") == f"/c/result?session_id={session.id}"
    assert control.pay(session.url) == f"/c/result?session_id={session.id}"
    result = f"{shop.server.url}/c/result"
    session = shop.session(success_url=f"{result}?purchase=pur_1")
    assert control.pay(str(session.url)) == f"{result}?session_id={session.id}"


@pytest.mark.parametrize(
    ("finish", "told", "status"),
    [
        (control.settle, "checkout.session.async_payment_succeeded", "paid"),
        (control.fail_payment, "checkout.session.async_payment_failed", "unpaid"),
    ],
)
def test_a_bank_payment_ends_later(
    shop: Shop, receiver: Receiver, server: Server, finish: object, told: str, status: str
) -> None:
    session = shop.session()
    assert session.url
    control.pay(session.url, "bank")
    payment = shop.payment_of(session.id)
    until(lambda: receiver.about(session.id) == ["checkout.session.completed"])
    assert receiver.last("checkout.session.completed", session.id).payment_status == "unpaid"
    assert shop.client.v1.payment_intents.retrieve(payment).status == "processing"
    assert callable(finish)
    finish(server.url, payment)
    after = until(lambda: receiver.last(told, session.id))
    assert (after.status, after.payment_status) == ("complete", status)
    assert shop.charge_of(payment).paid == (status == "paid")
    with pytest.raises(control.ButtonFailed):
        finish(server.url, payment)


def test_refunds_add_up(shop: Shop, receiver: Receiver, server: Server) -> None:
    payment = paid(shop)
    first = shop.client.v1.refunds.create(
        params={"payment_intent": payment, "amount": 300, "metadata": {"by": "ann"}}
    )
    assert (first.status, first.amount) == ("succeeded", 300)
    assert first.metadata
    assert first.metadata.to_dict() == {"by": "ann"}
    until(lambda: receiver.about(payment).count("charge.refunded") == 1)
    assert receiver.last("charge.refunded", payment).amount_refunded == 300
    control.refund(server.url, payment, 200)
    assert not shop.charge_of(payment).refunded
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.refund(payment, 401)
    assert (refused.value.http_status, refused.value.param) == (400, "amount")
    assert shop.refund(payment).amount == 400
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.refund(payment)
    assert refused.value.code == "charge_already_refunded"
    charge = shop.charge_of(payment)
    assert (charge.amount_refunded, charge.refunded) == (900, True)
    until(lambda: receiver.about(payment).count("charge.refunded") == 3)
    cumulative = [
        e.data.object["amount_refunded"]
        for e in receiver.events
        if e.type == "charge.refunded" and e.data.object["payment_intent"] == payment
    ]
    assert sorted(cumulative) == [300, 500, 900]
    refunds = shop.client.v1.refunds.list(params={"payment_intent": payment}).data
    assert [r.amount for r in refunds] == [400, 200, 300]


def test_a_refund_that_the_bank_sends_back(shop: Shop, receiver: Receiver, server: Server) -> None:
    payment = paid(shop)
    refund = shop.refund(payment, 300)
    control.fail_refund(server.url, refund.id)
    told = until(lambda: receiver.last("refund.failed", refund.id))
    assert (told.status, told.amount) == ("failed", 300)
    assert shop.client.v1.refunds.retrieve(refund.id).failure_reason
    assert shop.charge_of(payment).amount_refunded == 0
    with pytest.raises(control.ButtonFailed):
        control.fail_refund(server.url, refund.id)


@pytest.mark.parametrize("won", [True, False])
def test_a_dispute(shop: Shop, receiver: Receiver, server: Server, won: bool) -> None:
    payment = paid(shop)
    control.dispute(server.url, payment, 500)
    (dispute,) = shop.client.v1.disputes.list(params={"payment_intent": payment}).data
    assert (dispute.amount, dispute.status) == (500, "needs_response")
    assert shop.charge_of(payment).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.refund(payment)
    assert refused.value.code == "charge_disputed"
    control.contest(server.url, dispute.id)
    control.close_dispute(server.url, dispute.id, won=won)
    decided = "won" if won else "lost"
    assert shop.client.v1.disputes.retrieve(dispute.id).status == decided
    told = {
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
    } | ({"charge.dispute.funds_reinstated"} if won else set())
    until(lambda: set(receiver.about(dispute.id)) == told)
    assert receiver.last("charge.dispute.closed", dispute.id).status == decided
    with pytest.raises(control.ButtonFailed):
        control.close_dispute(server.url, dispute.id, won=won)
    if won:
        assert shop.refund(payment).amount == 900


def test_a_session_expires(shop: Shop, receiver: Receiver) -> None:
    session = shop.session(expires_at=int(time.time()) + 1800)
    after = shop.client.v1.checkout.sessions.expire(session.id)
    assert (after.status, after.url) == ("expired", None)
    until(lambda: receiver.about(session.id) == ["checkout.session.expired"])
    assert session.url
    assert control.pay(session.url).endswith(f"/c/pay/{session.id}")
    assert shop.get(session.id).payment_intent is None
    with pytest.raises(stripe.InvalidRequestError):
        shop.client.v1.checkout.sessions.expire(session.id)
