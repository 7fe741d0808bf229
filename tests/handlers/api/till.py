"""The stand-in for Stripe on a free port, and its events in whoever's hands sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn
from msgspec import Struct
from stripe import WebhookSignature

from infra.local.ports import HOST, free_port
from infra.local.stripe import control
from infra.local.stripe.app import create_app
from infra.local.stripe.desk import Place

KEY, SECRET = "sk_test_till", "whsec_till"
BACK = "https://app.example/bought?tab=credits"
WEBHOOK = "/v1/webhooks/stripe"


class Till(Struct, frozen=True):
    """A running stand-in. What it would post is listed; ``tell`` posts it."""

    url: str

    def settings(self) -> dict[str, str]:
        """What makes the API sell here."""
        return {
            "stripe_api_key": KEY,
            "stripe_api_base": self.url,
            "stripe_webhook_secrets": SECRET,
            "checkout_return_url": BACK,
        }

    def get(self, path: str, **params: Any) -> Any:
        """An answer of its API."""
        answer = httpx.get(
            f"{self.url}/v1{path}", params=params, trust_env=False, verify=False,
            headers={"Authorization": f"Bearer {KEY}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer.json()

    def session(self, page: str) -> dict[str, Any]:
        """The session whose page that is."""
        found: dict[str, Any] = self.get("/checkout/sessions/" + page.rpartition("/")[2])
        return found

    def events(self, payment: str) -> list[dict[str, Any]]:
        """All that happened to a payment or session, oldest first."""
        listed = self.get("/events", payment_intent=payment, limit=100)["data"]
        return list(reversed(listed))

    def pay(self, page: str, how: control.How = "card") -> dict[str, Any]:
        """Somebody submits the page; the session then."""
        control.pay(page, how)
        return self.session(page)


def signed(
    body: bytes | str, secret: str = SECRET, at: float | None = None
) -> tuple[bytes, dict[str, str]]:
    """The body and its headers, as Stripe sends them. at: epoch seconds, now unless told."""
    text = body if isinstance(body, str) else body.decode()
    stamp = int(time.time() if at is None else at)
    header = WebhookSignature.generate_signature_header(text, secret, stamp)
    return text.encode(), {"Stripe-Signature": header, "Content-Type": "application/json"}


def tell(http: httpx.Client, event: dict[str, Any], **how: Any) -> httpx.Response:
    """Post an event to the webhook."""
    body, headers = signed(msgspec.json.format(msgspec.json.encode(event)), **how)
    return http.post(WEBHOOK, content=body, headers=headers)


def told_all(http: httpx.Client, events: list[dict[str, Any]]) -> None:
    """Each is taken."""
    for event in events:
        answer = tell(http, event)
        assert (answer.status_code, answer.json()) == (200, {"received": True}), event["type"]


@contextmanager
def standing_in(data: Path, webhook: str = "", settle_seconds: float = 3600) -> Iterator[Till]:
    """Serve it until the block ends. webhook: where it posts events itself."""
    port = free_port(None)
    place = Place(f"http://{HOST}:{port}", webhook, settle_seconds)
    config = uvicorn.Config(
        create_app(data, place, KEY, SECRET), host=HOST, port=port, lifespan="on",
        access_log=False, log_config=None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the stand-in did not start"
        assert time.monotonic() < deadline, "the stand-in did not start in time"
        time.sleep(0.01)
    try:
        yield Till(place.url)
    finally:
        server.should_exit = True
        thread.join(20)
