"""Endpoints and deliveries as the API shows them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta as Rule
from msgspec import Struct

from domain import user
from domain.endpoints import ASKED, FAILING, GONE, TYPES
from domain.endpoints import Endpoint as Kept
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.service import Service
from infra.operations import Delivery as KeptDelivery
from infra.operations import Turn
from infra.operations.deliveries import DELIVERED, DROPPED, FAILED, PENDING

MessageType = Annotated[str, Rule(extra_json_schema={"enum": list(TYPES)})]
WhyDisabled = Annotated[str, Rule(extra_json_schema={"enum": [ASKED, GONE, FAILING]})]
DeliveryStatus = Annotated[
    str, Rule(extra_json_schema={"enum": [PENDING, DELIVERED, FAILED, DROPPED]})
]


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where messages go. types: that it wants; none for all of them.

    disabled: null while messages are sent; asked (by you), gone (it answered 410) or failing (for
    days). old_secret_until: messages are signed with the secret before this one as well until
    then. failures: attempts in a row that were not answered with 2xx, since failing_since.
    """

    endpoint_id: str
    url: str
    types: tuple[MessageType, ...]
    disabled: WhyDisabled | None
    created_at: Moment
    old_secret_until: Moment | None
    failures: int
    failing_since: Moment | None


class EndpointWithSecret(Endpoint, frozen=True, kw_only=True):
    """secret: what messages are signed with, as libraries of Standard Webhooks take it."""

    secret: str


class Endpoints(Struct, frozen=True):
    """All of them, the oldest first."""

    items: list[Endpoint]


class DeliveryAttempt(Struct, frozen=True, kw_only=True):
    """One POST. status: of the answer, null without one; error then says why, else it is empty:
    timed_out, not_connected, no_http_answer, address_* or not_sent. More may come.

    excerpt: the answer's beginning, at most 1 KB; without an answer, words for people.
    """

    at: Moment
    milliseconds: int
    status: int | None
    error: str
    excerpt: str


class Delivery(Struct, frozen=True, kw_only=True):
    """A message to one endpoint, kept for 30 days. message_id: the ``webhook-id`` header, the same
    at every attempt.

    status: pending (next_attempt_at says when), delivered, failed (all attempts were), or dropped
    (the endpoint was disabled when it was due). attempts: the newest 20.
    """

    message_id: str
    endpoint_id: str
    type: MessageType
    status: DeliveryStatus
    created_at: Moment
    next_attempt_at: Moment | None
    attempts: list[DeliveryAttempt]


class DeliveryWithBody(Delivery, frozen=True, kw_only=True):
    """body: the JSON that is sent, byte for byte."""

    body: str


class DeliveryPage(Struct, frozen=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Delivery]
    cursor: str | None


def render(service: Service, user_id: str, kept: Kept, turn: Turn) -> Endpoint:
    """An endpoint of that person."""
    application = service.application
    rotating = kept.old_secret is not None and application.clock.now() < kept.old_until
    return Endpoint(
        endpoint_id=kept.endpoint_id,
        url=application.personal.unseal(user_id, kept.url),
        types=kept.types,
        disabled=kept.disabled or None,
        created_at=moment(kept.created),
        old_secret_until=moment(kept.old_until) if rotating else None,
        failures=turn.failures,
        failing_since=moment_or_none(turn.failing_since),
    )


def render_delivery(kept: KeptDelivery) -> Delivery:
    """A line of the log."""
    return Delivery(
        message_id=kept.message_id,
        endpoint_id=kept.endpoint_id,
        type=kept.type,
        status=kept.status,
        created_at=moment(kept.created),
        next_attempt_at=moment_or_none(kept.due),
        attempts=[
            DeliveryAttempt(
                at=moment(each.at), milliseconds=each.milliseconds, status=each.status,
                error=each.error, excerpt=each.excerpt,
            )
            for each in kept.attempts
        ],
    )  # fmt: skip


def own_endpoint(service: Service, user_id: str, endpoint_id: str) -> Kept:
    """The person's endpoint, consistently read. Raises NotFound, AccountErased."""
    return user.endpoint(service.person(user_id), endpoint_id)
