"""One endpoint at a time: take its turn, send what is due, leave word of when to come again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from threading import Event
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from commands import DisableWebhookEndpoint, execute
from commands.dispatch import Context
from commands.users import person_of
from domain.commit import Meta
from domain.endpoints import FAILING, GONE, Endpoint
from domain.errors import NotFound
from handlers.deliverer import schedule
from infra.operations import Deliveries, Delivery, OperationalTable, Turn, Turns, Waiting
from infra.operations.deliveries import DROPPED, Due, forget
from infra.personal import PersonalFields
from infra.webhooks import Answer, signed_headers

ACTOR = "deliverer"
MOST = 20
"""Messages of one visit: then others that wait have their turn."""
USER_AGENT = "SplitSound-Webhooks/1"


class Visit(Struct, frozen=True):
    """What came of a visit. well: the endpoint's last attempt did not fail; more: is due there."""

    well: bool = True
    more: bool = False


class Post(Protocol):
    """How a message leaves this house: ``WebhookClient.post``."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> Answer:
        """Send it once; never raises for what the other side does or is."""


class Visits:
    """holder: names this process in turns. told: hears of each attempt, for metrics.

    closing: when it is set, no further message is begun. Every method raises Unavailable.
    """

    def __init__(
        self,
        context: Context,
        personal: PersonalFields,
        table: OperationalTable,
        post: Post,
        holder: str,
        log: Any,
        closing: Event | None = None,
        told: Callable[[Delivery, Answer], None] = lambda *_: None,
    ) -> None:
        self._context, self._personal, self._table = context, personal, table
        self._clock = context.clock
        self._deliveries = Deliveries(table, context.clock)
        self._turns = Turns(table, context.clock)
        self._post, self._holder, self._log = post, holder, log
        self._closing = closing or Event()
        self._told = told
        self._random = random.Random()  # noqa: S311 - jitter, no secret

    def pay(self, waiting: Waiting) -> Visit:
        """Send what is due at an endpoint, unless another process does."""
        turn = self._turns.take(waiting.user_id, waiting.endpoint_id, self._holder)
        if turn is None:
            return Visit()
        again: int | None = self._clock.now()
        count = 0
        while count < MOST and not self._closing.is_set():
            due = self._deliveries.first_due(waiting.user_id, waiting.endpoint_id)
            if due is None:
                again = None
                break
            again = max(due.due, turn.rest_until)
            if again > self._clock.now():
                break
            served = self._serve(turn, due)
            if served is None:
                # Another process has the turn by now, or the owner changed something: what was
                # seen stays where it is, and is looked at anew.
                return Visit(not turn.failures)
            turn, count = served, count + 1
        self._turns.settle(waiting, turn, again)
        self._turns.leave(turn)
        return Visit(not turn.failures, count == MOST)

    def _serve(self, turn: Turn, due: Due) -> Turn | None:
        """Do what is to be done about the message; the turn as it goes on, None when it is lost."""
        user_id, endpoint_id = turn.user_id, turn.endpoint_id
        delivery = self._deliveries.find(user_id, endpoint_id, due.message_id)
        if delivery is None or delivery.due != due.due:
            self._deliveries.forget_due(user_id, endpoint_id, due)
            return turn
        person = person_of(self._context, user_id).state
        if not person.present:
            # It was made while its owner was being forgotten.
            forget(self._table, user_id)
            return turn
        endpoint = person.endpoints.get(endpoint_id)
        if endpoint is None or endpoint.disabled:
            self._deliveries.record(delivery, replace(delivery, status=DROPPED, due=None))
            return self._well_again(turn)
        held = self._turns.renew(turn)
        return None if held is None else self._attempt(held, delivery, endpoint)

    def _well_again(self, turn: Turn) -> Turn | None:
        # Its owner enables it some day, and then old failures do not count.
        if not turn.failures:
            return turn
        return self._turns.keep(replace(turn, failures=0, failing_since=0, rest_until=0))

    def _attempt(self, turn: Turn, delivery: Delivery, endpoint: Endpoint) -> Turn | None:
        try:
            url, secrets = self._opened(delivery.user_id, endpoint)
        except NotFound:
            return turn  # erased a moment ago; the next look finds nobody
        began = self._clock.now()
        answer = self._sent(delivery, url, secrets, began)
        now = self._clock.now()
        what = schedule.outcome(delivery, turn, answer, began, now, self._random.random())
        # Before anything is recorded: who dies here asks the receiver once more.
        if what.gone or what.failing:
            self._disable(delivery, endpoint, GONE if what.gone else FAILING)
        if self._deliveries.record(delivery, what.delivery):
            self._told(what.delivery, answer)
            self._log.info(
                "attempted", message=delivery.message_id, endpoint=delivery.endpoint_id,
                status=answer.status, error=answer.error, ms=answer.milliseconds,
                delivery=what.delivery.status,
            )  # fmt: skip
        return turn if what.turn == turn else self._turns.keep(what.turn)

    def _sent(self, delivery: Delivery, url: str, secrets: tuple[str, ...], now: int) -> Answer:
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **signed_headers(delivery.message_id, now, body, secrets),
        }
        try:
            return self._post(url, headers, body)
        except Exception:
            # Not foreseen: an attempt that failed, like any other, instead of one without end.
            self._log.exception("not sent", message=delivery.message_id)
            return Answer(0, error="not_sent", excerpt="Something broke on our side.")

    def _opened(self, user_id: str, endpoint: Endpoint) -> tuple[str, tuple[str, ...]]:
        """The URL, and the secrets that are good now. Raises NotFound for an erased person."""
        opened = partial(self._personal.unseal, user_id)
        secrets = [endpoint.secret]
        if endpoint.old_secret and self._clock.now() < endpoint.old_until:
            secrets.append(endpoint.old_secret)
        return opened(endpoint.url), tuple(opened(secret) for secret in secrets)

    def _disable(self, delivery: Delivery, endpoint: Endpoint, reason: str) -> None:
        command = DisableWebhookEndpoint(
            delivery.user_id, delivery.endpoint_id, reason, endpoint.url.version
        )
        meta = Meta(self._context.ids.fresh("cmd"), ACTOR, cause=delivery.message_id)
        execute(self._context, command, meta)
        self._log.warning("endpoint disabled", endpoint=delivery.endpoint_id, reason=reason)
