"""``/v1/webhook-endpoints/{id}/deliveries``: the log, redelivery, and a message to try it out."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Struct
from msgspec.structs import asdict

from domain.errors import Conflict, NotFound, Refused
from handlers.api.openapi import LOCATION, problems
from handlers.api.paging import Cursor, Limit
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service
from handlers.api.webhooks.renderings import (
    Delivery,
    DeliveryPage,
    DeliveryWithBody,
    own_endpoint,
    render_delivery,
)
from handlers.deliverer.envelopes import body
from infra.operations import Delivery as Kept

TEST = "webhook.test"


class TestData(Struct, frozen=True):
    """What a test message says."""

    endpoint_id: str
    note: str = "Somebody asked for this message, to see whether it arrives."


@post(
    "/{endpoint_id:str}/test",
    status_code=202,
    response_headers=[LOCATION],
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Send a test message",
    operation_id="testWebhookEndpoint",
    response_description="The message, which will be sent at once.",
)
async def send_test(
    endpoint_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - one more test does no harm
) -> Response[Delivery]:
    """A message of type `webhook.test`, whatever types the endpoint wants, on the way that all
    messages go. What became of it is in the log.
    """
    known_id("whk", endpoint_id)
    return _accepted(await service.run(_add_test, service, request.user, endpoint_id))


@get(
    "/{endpoint_id:str}/deliveries",
    responses=NOT_MODIFIED | problems(401, 403, 404, 410, 422),
    summary="List deliveries",
    operation_id="listWebhookDeliveries",
    response_description="A page of the log.",
)
async def list_deliveries(
    endpoint_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response[DeliveryPage]:
    """Messages to this endpoint, newest first, without their bodies."""
    known_id("whk", endpoint_id)
    page = await service.run(_page, service, request.user, endpoint_id, limit, cursor)
    return answered(request, page)


@get(
    "/{endpoint_id:str}/deliveries/{message_id:str}",
    responses=NOT_MODIFIED | problems(401, 403, 404, 410, 422),
    summary="One delivery",
    operation_id="getWebhookDelivery",
    response_description="The message, with its body.",
)
async def show_delivery(
    endpoint_id: FromPath[str], message_id: FromPath[str], request: ApiRequest, service: Api
) -> Response[DeliveryWithBody]:
    """What was sent, and what came of each attempt."""
    kept = await service.run(_own, service, request.user, endpoint_id, message_id)
    shown = DeliveryWithBody(**asdict(render_delivery(kept)), body=kept.body)
    return answered(request, shown)


@post(
    "/{endpoint_id:str}/deliveries/{message_id:str}/redeliver",
    status_code=202,
    response_headers=[LOCATION],
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Send a message again",
    operation_id="redeliverWebhook",
    response_description="The message, which will be sent at once.",
)
async def redeliver(
    endpoint_id: FromPath[str],
    message_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - twice is what it says
) -> Response[Delivery]:
    """Whatever became of it: now, with the same id and body, and if need be by the whole schedule
    of attempts.
    """
    return _accepted(await service.run(_again, service, request.user, endpoint_id, message_id))


def _accepted(kept: Kept) -> Response[Delivery]:
    place = f"/v1/webhook-endpoints/{kept.endpoint_id}/deliveries/{kept.message_id}"
    return Response(render_delivery(kept), status_code=202, headers={"Location": place})


def _add_test(service: Service, user_id: str, endpoint_id: str) -> Kept:
    application = service.application
    _require_enabled(service, user_id, endpoint_id)
    now = application.clock.now()
    kept = Kept(
        message_id=application.ids.fresh("msg"),
        user_id=user_id,
        endpoint_id=endpoint_id,
        type=TEST,
        body=body(TEST, now, TestData(endpoint_id)),
        created=now,
        due=now,
    )
    application.turns.forgive(user_id, endpoint_id)
    application.deliveries.add(kept)
    return kept


def _page(
    service: Service, user_id: str, endpoint_id: str, limit: int, cursor: str | None
) -> DeliveryPage:
    own_endpoint(service, user_id, endpoint_id)
    scope = f"deliveries|{user_id}|{endpoint_id}"
    after = service.cursors.take(scope, cursor)
    kept, more = service.application.deliveries.page(user_id, endpoint_id, limit, after)
    return DeliveryPage([render_delivery(each) for each in kept], service.cursors.give(scope, more))


def _own(service: Service, user_id: str, endpoint_id: str, message_id: str) -> Kept:
    known_id("whk", endpoint_id)
    known_id("msg", message_id)
    own_endpoint(service, user_id, endpoint_id)
    kept = service.application.deliveries.find(user_id, endpoint_id, message_id)
    if kept is None:
        raise NotFound("This endpoint's log has no such message; it goes back 30 days.")
    return kept


def _again(service: Service, user_id: str, endpoint_id: str, message_id: str) -> Kept:
    kept = _own(service, user_id, endpoint_id, message_id)
    _require_enabled(service, user_id, endpoint_id)
    service.application.turns.forgive(user_id, endpoint_id)
    wanted = service.application.deliveries.again(kept)
    if wanted is None:
        raise Conflict("An attempt at this message was under way; look at the log, and try again.")
    return wanted


def _require_enabled(service: Service, user_id: str, endpoint_id: str) -> None:
    if own_endpoint(service, user_id, endpoint_id).disabled:
        raise Refused("This endpoint is disabled, so nothing is sent to it; enable it first.")


DELIVERY_ROUTES = (send_test, list_deliveries, show_delivery, redeliver)
