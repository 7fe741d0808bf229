"""The stand-in as a process of its own, the real SDK, and a small receiver of webhooks."""

from __future__ import annotations

import http.server
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from infra.local.ports import free_port, is_ready
from infra.local.stripe.secrets import Secrets

ROOT = Path(__file__).parents[3]


def until(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


class Receiver:
    """What the API's webhook route does: verify the raw body, take it or refuse."""

    def __init__(self, secret: str) -> None:
        self.events: list[stripe.Event] = []
        self.refusals = 0
        self.refuse = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(body, self.headers["Stripe-Signature"], secret)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/webhooks/stripe"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, body: bytes, signature: str, secret: str) -> int:
        event = stripe.Webhook.construct_event(body, signature, secret)
        if self.refuse:
            self.refuse -= 1
            self.refusals += 1
            return 503
        self.events.append(event)
        return 200

    def about(self, *parts: str) -> list[str]:
        """The types of the events about objects with these ids or payments, as they came."""
        return [e.type for e in self.events if set(parts) & _names(e.data.object)]

    def last(self, kind: str, part: str) -> Any:
        found = [e for e in self.events if e.type == kind and part in _names(e.data.object)]
        return found[-1].data.object if found else None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _names(thing: Any) -> set[str]:
    return {thing["id"], getattr(thing, "payment_intent", None), getattr(thing, "charge", None)}


class Server:
    """A stand-in on a directory; started, killed and started again on its port."""

    def __init__(self, directory: Path, webhook: str, settle_seconds: float = 300.0) -> None:
        self.port = free_port(None)
        self.url = f"http://127.0.0.1:{self.port}"
        self.secrets = Secrets.of(directory / "keys")
        self._log = directory / "log"
        self._argv = [sys.executable, "-P", "-m", "infra.local.stripe"]
        self._argv += ["--data", str(directory / "stripe"), "--keys", str(directory / "keys")]
        self._argv += ["--port", str(self.port), "--webhook", webhook]
        self._argv += ["--settle-seconds", str(settle_seconds)]
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, cwd=ROOT, stdout=log, stderr=log)
        until(lambda: is_ready(self.port, "/healthz"), 30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(10)

    @property
    def log(self) -> str:
        return self._log.read_text()


class Shop:
    """The real SDK at the stand-in, and what a shop asks for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = self.with_key(server.secrets.api_key)

    def with_key(self, key: str) -> stripe.StripeClient:
        return stripe.StripeClient(
            key, base_addresses={"api": self.server.url}, max_network_retries=0
        )

    def params(self, amount: int = 900, **more: Any) -> Any:
        product = {"name": "3 hours of separation", "description": "10,800 credits"}
        price = {"currency": "eur", "unit_amount": amount, "product_data": product}
        return {
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "client_reference_id": "pur_1",
            "metadata": {"purchase": "pur_1"},
            "payment_intent_data": {"metadata": {"purchase": "pur_1", "kind": "credits"}},
            "success_url": "http://localhost:5173/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://localhost:5173/cancelled",
        } | more

    def session(self, amount: int = 900, **more: Any) -> stripe.checkout.Session:
        return self.client.v1.checkout.sessions.create(params=self.params(amount, **more))

    def get(self, session: str) -> stripe.checkout.Session:
        return self.client.v1.checkout.sessions.retrieve(session)

    def payment_of(self, session: str) -> str:
        payment = self.get(session).payment_intent
        assert isinstance(payment, str)
        return payment

    def charge_of(self, payment: str) -> stripe.Charge:
        (charge,) = self.client.v1.charges.list(params={"payment_intent": payment}).data
        return charge

    def refund(self, payment: str, amount: int | None = None) -> stripe.Refund:
        params: Any = {"payment_intent": payment}
        if amount is not None:
            params["amount"] = amount
        return self.client.v1.refunds.create(params=params)


@pytest.fixture(scope="session")
def receiver_and_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Receiver, Server]]:
    directory = tmp_path_factory.mktemp("stand-in")
    receiver = Receiver(Secrets.of(directory / "keys").webhook_secret)
    server = Server(directory, receiver.url)
    yield receiver, server
    stopped = server.stop()
    receiver.close()
    assert stopped == 0


@pytest.fixture
def receiver(receiver_and_server: tuple[Receiver, Server]) -> Receiver:
    return receiver_and_server[0]


@pytest.fixture
def server(receiver_and_server: tuple[Receiver, Server]) -> Server:
    return receiver_and_server[1]


@pytest.fixture
def shop(server: Server) -> Shop:
    return Shop(server)
