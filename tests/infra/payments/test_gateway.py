"""Our client of Stripe, against the stand-in and against servers that misbehave."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from domain.errors import Invalid, KeyReused, NotFound, Unavailable
from domain.packs import DEFAULT, Pack, parse
from infra.local.stripe import control
from infra.payments import Configuration
from infra.payments.gateway import StripePayments, returning
from infra.payments.objects import Dispute, PaymentIntent, Refund, Session, read
from tests.handlers.api.till import BACK, KEY, SECRET, Till, standing_in

HOUR = parse(DEFAULT)["hour"]
PURCHASE, USER = "pur_" + "0" * 26, "usr_" + "0" * 26


def client(base: str, key: str = KEY) -> StripePayments:
    return StripePayments(Configuration(key, base, (SECRET,), BACK), lambda: 0)


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    with standing_in(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture
def payments(till: Till) -> StripePayments:
    return client(till.url)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything so; its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Stripe-Should-Retry", "false")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the library's name)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_page_is_opened_once_and_closed(payments: StripePayments) -> None:
    made = payments.open_checkout(PURCHASE, USER, HOUR)
    assert payments.open_checkout(PURCHASE, USER, HOUR).id == made.id
    assert (made.status, made.payment_status, made.amount_total) == ("open", "unpaid", 390)
    with pytest.raises(KeyReused):
        payments.open_checkout(PURCHASE, USER, parse(DEFAULT)["album"])
    assert payments.session(made.id).url == made.url
    assert payments.expire(made.id).status == "expired"
    assert payments.session(made.id).url is None
    with pytest.raises(Invalid):
        payments.expire(made.id)
    with pytest.raises(NotFound):
        payments.session("cs_test_none")


def test_what_stripe_does_not_sell(payments: StripePayments) -> None:
    cheap = Pack("cheap", "Cheap", 1, 1, "eur")
    with pytest.raises(Invalid, match="Stripe refused the request"):
        payments.open_checkout("pur_" + "1" * 26, USER, cheap)


def test_lists_are_read_page_by_page(
    payments: StripePayments, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.payments.gateway._PAGE", 2)
    made = []
    for number in range(5):
        page = payments.open_checkout(f"pur_4{number:025d}", USER, HOUR)
        control.pay(str(page.url))
        made.append(page.id)
        paid = payments.session(page.id).payment_id
        assert paid
        control.refund(till.url, paid, 10 + number)
        control.dispute(till.url, paid, 5)
    listed = [session.id for session in payments.sessions(0)]
    assert listed[:5] == made[::-1]
    refunds, disputes = list(payments.refunds(0)), list(payments.disputes(0))
    assert [refund.amount for refund in refunds] == [14, 13, 12, 11, 10]
    assert len(disputes) == 5
    behind = [r.payment_intent for r in refunds] + [d.payment_intent for d in disputes]
    for payment in behind:
        assert isinstance(payment, PaymentIntent)
        assert (payment.metadata or {})["user_id"] == USER
    assert payments.refund(refunds[0].id) is not None
    known = payments.dispute(disputes[0].id)
    assert known is not None
    assert isinstance(behind[-5], PaymentIntent)
    assert known.payment_intent == behind[-5].id
    assert payments.dispute("du_none") is None
    assert list(payments.sessions(2**42)) == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, b"trouble", Unavailable),
        (503, b'{"error": {"message": "later"}}', Unavailable),
        (429, b'{"error": {"message": "slowly", "type": "invalid_request_error"}}', Unavailable),
        (409, b'{"error": {"type": "idempotency_error", "message": "in use"}}', Unavailable),
        (401, b'{"error": {"message": "Invalid API Key"}}', Unavailable),
        (403, b'{"error": {"message": "no right"}}', Unavailable),
        (200, b"<html>", Unavailable),
        (200, b'{"object": "checkout.session"}', Invalid),
        (200, b'{"id": 5}', Invalid),
        (400, b'{"error": {"message": "no", "type": "invalid_request_error"}}', Invalid),
        (404, b'{"error": {"message": "none", "code": "resource_missing"}}', NotFound),
    ],
)
def test_answers_of_a_stripe_in_trouble(status: int, body: bytes, error: Any) -> None:
    with answering(status, body) as (base, asked):
        with pytest.raises(error):
            client(base).session("cs_1")
        assert asked == ["/v1/checkout/sessions/cs_1"]


def test_neither_keys_nor_bodies_are_logged(
    payments: StripePayments, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    payments.open_checkout("pur_" + "3" * 26, USER, HOUR)
    with pytest.raises(Unavailable) as refused:
        client("http://127.0.0.1:1", "sk_test_very_secret").session("cs_1")
    text = caplog.text + str(refused.value) + str(refused.value.__cause__)
    assert "sk_test" not in text
    assert USER not in text


@pytest.mark.parametrize(
    ("back", "wanted"),
    [
        ("https://a.example/b", "https://a.example/b?purchase=p&outcome=paid"),
        ("https://a.example/?x=1&y=", "https://a.example/?x=1&y=&purchase=p&outcome=paid"),
        ("https://a.example#top", "https://a.example?purchase=p&outcome=paid#top"),
    ],
)
def test_the_way_back(back: str, wanted: str) -> None:
    assert returning(back, "p", "paid") == wanted


def test_objects_say_less_or_more_than_we_read() -> None:
    session = read(Session, {"id": "cs", "payment_intent": {"id": "pi", "x": [1]}, "new": {}})
    assert (session.payment_id, session.metadata) == ("pi", None)
    assert read(Session, {"id": "cs", "amount_total": None}).amount_total is None
    refund = read(Refund, {"id": "re", "payment_intent": {"id": "pi", "metadata": {}}})
    assert refund.payment_intent == PaymentIntent(id="pi", metadata={})
    for wrong in ({}, {"id": 1}, {"id": "du", "amount": 1.5}, {"id": "du", "amount": "5"}):
        with pytest.raises(Invalid):
            read(Dispute, wrong)


def test_nothing_is_fetched_before_it_is_asked_for() -> None:
    with answering(500, b"") as (base, asked):
        lists: list[Callable[[int], Any]] = [
            client(base).sessions, client(base).refunds, client(base).disputes,
        ]  # fmt: skip
        for each in lists:
            each(0)
        assert asked == []
