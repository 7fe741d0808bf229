"""Nothing is lost: not by a receiver that refuses, not by ``kill -9``."""

from __future__ import annotations

from pathlib import Path

from infra.local.stripe import control
from infra.local.stripe.secrets import Secrets
from infra.local.stripe.webhooks import backoff
from tests.infra.local_stripe.conftest import Receiver, Server, Shop, until


def test_a_webhook_is_sent_until_it_is_accepted(
    shop: Shop, receiver: Receiver, server: Server
) -> None:
    receiver.refuse = 4
    before = receiver.refusals
    session = shop.session()
    control.pay(str(session.url))
    until(lambda: "checkout.session.completed" in receiver.about(session.id))
    assert receiver.refusals == before + 4
    (event,) = [e for e in receiver.events if e.data.object["id"] == session.id]
    until(lambda: not shop.client.v1.events.retrieve(event.id).pending_webhooks)
    control.send_again(server.url, event.id)
    until(lambda: len(receiver.about(session.id)) == 2)


def test_backoff_grows_and_stays_bounded() -> None:
    waits = [backoff(n) for n in range(1, 40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.25, 60.0)


def test_a_killed_server_forgets_nothing(tmp_path: Path) -> None:
    receiver = Receiver(Secrets.of(tmp_path / "keys").webhook_secret)
    # Nobody takes anything before the kill.
    receiver.refuse = 10**6
    server = Server(tmp_path, receiver.url, settle_seconds=1.0)
    try:
        shop = Shop(server)
        options = {"idempotency_key": "once"}
        made = shop.client.v1.checkout.sessions.create(params=shop.params(), options=options)  # type: ignore[arg-type]
        control.pay(str(made.url))
        payment = shop.payment_of(made.id)
        shop.refund(payment, 250)
        bank, failing = shop.session(), shop.session()
        control.pay(str(bank.url), "bank")
        control.pay(str(failing.url), "failing_bank")
        server.kill()
        receiver.refuse = 0
        server.start()
        assert shop.get(made.id).payment_status == "paid"
        assert shop.charge_of(payment).amount_refunded == 250
        again = shop.client.v1.checkout.sessions.create(params=shop.params(), options=options)  # type: ignore[arg-type]
        assert again.id == made.id
        until(lambda: "checkout.session.completed" in receiver.about(made.id))
        until(lambda: receiver.last("charge.refunded", payment))
        # What time was to do is done after the start.
        until(lambda: "checkout.session.async_payment_succeeded" in receiver.about(bank.id))
        until(lambda: "checkout.session.async_payment_failed" in receiver.about(failing.id))
        assert shop.get(bank.id).payment_status == "paid"
        assert shop.get(failing.id).payment_status == "unpaid"
        assert "sk_test_" not in server.log
        assert "pur_1" not in server.log
    finally:
        server.kill()
        receiver.close()
