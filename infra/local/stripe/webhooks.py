"""Events on their way to the API: signed, and sent until they are accepted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import httpx
import msgspec
import structlog
from msgspec.structs import replace
from stripe import WebhookSignature

from infra.local.stripe.desk import Desk
from infra.local.stripe.objects import Event
from infra.local.stripe.store import Delivery

_AT_ONCE = 8
_TIMEOUT_SECONDS = 15.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 60.0
# Bank payments and sessions that expire are looked for this often.
_TICK_SECONDS = 0.25

_log = structlog.get_logger(component="payments")


def backoff(attempts: int) -> float:
    """Seconds until the next try after that many."""
    return float(min(_FIRST_BACKOFF * 2 ** min(attempts - 1, 20), _LONGEST_BACKOFF))


class Postman:
    """Sends what is due. Its state is the store's, so a restart goes on where it was."""

    def __init__(self, desk: Desk, secret: str) -> None:
        self._desk = desk
        self._secret = secret
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        self._desk.on_event = partial(_tell, loop, self._news)
        await asyncio.to_thread(self._hurry)
        # Only the loopback is called, or what the user named: no proxy of the shell's.
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                await self._round(client)

    async def _round(self, client: httpx.AsyncClient) -> None:
        self._news.clear()
        try:
            due = await asyncio.to_thread(self._due)
            await asyncio.gather(*(self._send(client, *one) for one in due))
        except Exception:
            # A full disk, say. What is due stays due.
            _log.exception("delivering failed")
            due = []
        if not due:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _TICK_SECONDS)

    def _hurry(self) -> None:
        with self._desk.store.transaction() as tx:
            tx.hurry(self._desk.clock())

    def _due(self) -> list[tuple[int, Event]]:
        self._desk.pass_time()
        with self._desk.store.transaction() as tx:
            return tx.deliveries(self._desk.clock(), _AT_ONCE)

    async def _send(self, client: httpx.AsyncClient, attempts: int, event: Event) -> None:
        delivery = await self._tried(client, attempts + 1, event)
        await asyncio.to_thread(self._note, delivery)
        _log.info(
            "webhook",
            event_id=event.id,
            type=event.type,
            attempt=delivery.attempts,
            status=delivery.status,
            error=delivery.error,
        )

    async def _tried(self, client: httpx.AsyncClient, attempt: int, event: Event) -> Delivery:
        # Indented, as Stripe's are: who verifies anything but the raw body finds out here.
        payload = msgspec.json.format(msgspec.json.encode(event), indent=2).decode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": WebhookSignature.generate_signature_header(payload, self._secret),
            "User-Agent": "Stripe/1.0 (local stand-in)",
        }
        later = Delivery(event.id, attempt, self._desk.clock() + backoff(attempt), None, "")
        try:
            answer = await client.post(
                self._desk.place.webhook, content=payload.encode(), headers=headers
            )
        except httpx.HTTPError as error:
            return replace(later, error=f"{type(error).__name__}: {error}"[:300])
        if answer.is_success:
            return replace(later, next_at=None, status=answer.status_code)
        return replace(later, status=answer.status_code, error=answer.reason_phrase)

    def _note(self, delivery: Delivery) -> None:
        with self._desk.store.transaction() as tx:
            tx.note_delivery(delivery)


def _tell(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    loop.call_soon_threadsafe(news.set)
