"""Stripe, as selling credits needs it: pages to pay on, events, and lists to compare with.

Every call takes at most about CONNECT + READ seconds, three times. Nothing here is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import stripe
from stripe import V1Services

from domain.errors import NotFound
from domain.packs import Pack
from infra.payments.configuration import Configuration
from infra.payments.failures import translated
from infra.payments.objects import Dispute, Event, PaymentIntent, Refund, Session, read
from infra.payments.signatures import verified

CONNECT_SECONDS, READ_SECONDS = 4, 12
RETRIES = 2
_PAGE = 100

T = TypeVar("T")


class StripePayments:
    """One account at Stripe; any thread may use it."""

    def __init__(self, configuration: Configuration, now: Callable[[], int]) -> None:
        """now: epoch milliseconds, to tell stale webhooks."""
        self._configuration = configuration
        self._now = now
        self._client = connected(configuration.api_key, configuration.api_base)

    def open_checkout(self, purchase_id: str, user_id: str, pack: Pack) -> Session:
        """A page on which the user can pay for the pack; the same purchase again: the same page.

        Raises Unavailable, KeyReused (it was for something else), Invalid (Stripe's limits).
        """
        request = _session_request(purchase_id, user_id, pack, self._configuration.return_url)
        with translated():
            made = self._client.checkout.sessions.create(
                request,  # type: ignore[arg-type]  # a dict is what its TypedDict is
                {"idempotency_key": f"splitsound-{purchase_id}"},
            )
        return read(Session, made.to_dict())

    def session(self, session_id: str) -> Session:
        """As it stands now. Raises NotFound, Unavailable."""
        with translated():
            return read(Session, self._client.checkout.sessions.retrieve(session_id).to_dict())

    def expire(self, session_id: str) -> Session:
        """Nobody can pay there any more. Raises Invalid when it is not open, Unavailable."""
        with translated():
            return read(Session, self._client.checkout.sessions.expire(session_id).to_dict())

    def payment(self, payment_id: str) -> PaymentIntent | None:
        """A payment intent, None when the account has none of that id. Raises Unavailable."""
        return _one(PaymentIntent, self._client.payment_intents.retrieve, payment_id)

    def refund(self, refund_id: str) -> Refund | None:
        """A refund, None when the account has none of that id. Raises Unavailable."""
        return _one(Refund, self._client.refunds.retrieve, refund_id)

    def dispute(self, dispute_id: str) -> Dispute | None:
        """The same for a dispute."""
        return _one(Dispute, self._client.disputes.retrieve, dispute_id)

    def event(self, payload: bytes, signature: str | None) -> Event:
        """A webhook's event, from its raw body. Raises WebhookRefused."""
        return verified(payload, signature, self._configuration.webhook_secrets, self._now())

    def sessions(self, since: int) -> Iterator[Session]:
        """Those made at ``since`` (epoch ms) or later, newest first, fetched page by page."""
        return _all(Session, self._client.checkout.sessions.list, _range(since))

    def refunds(self, since: int) -> Iterator[Refund]:
        """The same for refunds, with their payments."""
        return _all(Refund, self._client.refunds.list, _range(since) | _WITH_PAYMENT)

    def disputes(self, since: int) -> Iterator[Dispute]:
        """The same for disputes."""
        return _all(Dispute, self._client.disputes.list, _range(since) | _WITH_PAYMENT)


_WITH_PAYMENT = {"expand": ["data.payment_intent"]}


def _range(since: int) -> dict[str, Any]:
    return {"created": {"gte": since // 1000}, "limit": _PAGE}


def _one(kind: type[T], fetch: Callable[[str], Any], identifier: str) -> T | None:
    try:
        with translated():
            return read(kind, fetch(identifier).to_dict())
    except NotFound:
        return None


def _all(kind: type[T], fetch: Callable[..., Any], request: dict[str, Any]) -> Iterator[T]:
    with translated():
        for each in fetch(request).auto_paging_iter():
            yield read(kind, each.to_dict())


def connected(api_key: str, base: str) -> V1Services:
    """Stripe's client for that account. base: instead of Stripe's own address, empty for that."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": base} if base else {},
        max_network_retries=RETRIES,
        http_client=_http(base),
    ).v1


def _http(base: str) -> stripe.RequestsClient:
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    if not base:
        return stripe.RequestsClient(timeout=timeout)
    import requests

    # Another address is one nearby, which no proxy of this machine's would find.
    session = requests.Session()
    session.trust_env = False
    return stripe.RequestsClient(timeout=timeout, session=session)


def _session_request(purchase_id: str, user_id: str, pack: Pack, back: str) -> dict[str, Any]:
    metadata = {
        "purchase_id": purchase_id,
        "user_id": user_id,
        "pack": pack.name,
        "credits": str(pack.credits),
    }
    if pack.expires_days is not None:
        metadata["expires_days"] = str(pack.expires_days)
    product = {"name": pack.title, "description": f"{pack.credits} credits"}
    price = {"currency": pack.currency, "unit_amount": pack.amount, "product_data": product}
    return {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        # Paid in the currency that was agreed, or the amounts would not compare.
        "adaptive_pricing": {"enabled": False},
        "client_reference_id": user_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": pack.title},
        "success_url": returning(back, purchase_id, "paid"),
        "cancel_url": returning(back, purchase_id, "cancelled"),
    }


def returning(back: str, purchase_id: str, outcome: str) -> str:
    """The page to come back to, told what became of what."""
    parts = urlsplit(back)
    query = [*parse_qsl(parts.query, keep_blank_values=True)]
    query += [("purchase", purchase_id), ("outcome", outcome)]
    return urlunsplit(parts._replace(query=urlencode(query)))
