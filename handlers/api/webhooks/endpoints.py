"""``/v1/webhook-endpoints``: add, list, change, disable, enable and remove endpoints."""

from __future__ import annotations

import asyncio
from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta as Rule
from msgspec import Struct

from commands import (
    AddWebhookEndpoint,
    ChangeWebhookEndpoint,
    DisableWebhookEndpoint,
    EnableWebhookEndpoint,
    RemoveWebhookEndpoint,
)
from commands.dispatch import Command
from domain.endpoints import ASKED, TYPES
from domain.errors import WebhookAddressRefused
from handlers.api.openapi import LOCATION, problems
from handlers.api.patterns import WEB_ADDRESS
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service
from handlers.api.webhooks.renderings import (
    Endpoint,
    Endpoints,
    EndpointWithSecret,
    MessageType,
    own_endpoint,
    render,
)
from handlers.api.webhooks.secrets import fresh_secret, with_secret
from infra.operations import Turn
from infra.webhooks.addresses import MOST_CHARACTERS

JUDGING_SECONDS = 5.0
"""A name server that takes longer to say where a URL leads has not said it."""

Url = Annotated[
    str,
    Rule(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="An https address of the public internet; redirects are not followed.",
        examples=["https://example.com/webhooks"],
        extra_json_schema={"pattern": WEB_ADDRESS},
    ),
]
Types = Annotated[tuple[MessageType, ...], Rule(max_length=len(TYPES))]


class NewEndpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """types: of the messages that it is to get; none for all of them, also those to come."""

    url: Url
    types: Types = ()


class EndpointChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    url: Url | None = None
    types: Types | None = None


@post(
    "/",
    response_headers=[LOCATION],
    responses=problems(401, 403, 409, 410, 422, WebhookAddressRefused),
    summary="Add a webhook endpoint",
    operation_id="addWebhookEndpoint",
    response_description="The endpoint, with the secret that its messages are signed with.",
)
async def add(
    data: JSONBody[NewEndpoint],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Response[EndpointWithSecret]:
    """What happens to your jobs, uploads and purchases from now on is POSTed there, at least
    once, in no order. Up to 10 of them. Addresses that are not of the public internet are refused.
    """
    user_id = request.user
    await _judge(service, data.url)
    endpoint_id = service.identified("whk", user_id, "webhook-endpoints", idempotency_key)
    command = AddWebhookEndpoint(user_id, endpoint_id, data.url, fresh_secret(), data.types)
    meta = service.meta(user_id, request.request_id, "webhook-endpoints", idempotency_key)
    await service.execute(command, meta)
    body = await service.run(with_secret, service, user_id, endpoint_id)
    location = f"/v1/webhook-endpoints/{endpoint_id}"
    return Response(body, status_code=201, headers={"Location": location})


@get(
    "/",
    responses=NOT_MODIFIED | problems(401, 403, 410, 422),
    summary="List webhook endpoints",
    operation_id="listWebhookEndpoints",
    response_description="All of your endpoints.",
)
async def list_endpoints(request: ApiRequest, service: Api) -> Response[Endpoints]:
    """With how they do: who answers, and who has not for how long."""
    return answered(request, Endpoints(await service.run(_all, service, request.user)))


@get(
    "/{endpoint_id:str}",
    responses=NOT_MODIFIED | problems(401, 403, 404, 410, 422),
    summary="One webhook endpoint",
    operation_id="getWebhookEndpoint",
    response_description="The endpoint.",
)
async def show(endpoint_id: FromPath[str], request: ApiRequest, service: Api) -> Response[Endpoint]:
    """The endpoint, without its secret."""
    known_id("whk", endpoint_id)
    return answered(request, await service.run(_one, service, request.user, endpoint_id))


@patch(
    "/{endpoint_id:str}",
    responses=problems(401, 403, 404, 409, 410, 422, WebhookAddressRefused),
    summary="Change a webhook endpoint",
    operation_id="changeWebhookEndpoint",
    response_description="The endpoint as it is now.",
)
async def change(
    endpoint_id: FromPath[str], data: JSONBody[EndpointChange], request: ApiRequest, service: Api
) -> Endpoint:
    """Messages that wait go to the new address. One that is disabled stays so."""
    known_id("whk", endpoint_id)
    user_id = request.user
    if data.url is not None:
        await _judge(service, data.url)
        await service.run(service.application.turns.forgive, user_id, endpoint_id)
    command = ChangeWebhookEndpoint(user_id, endpoint_id, data.url, data.types)
    return await _after(service, request, command, endpoint_id)


@delete(
    "/{endpoint_id:str}",
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Remove a webhook endpoint",
    operation_id="removeWebhookEndpoint",
    response_description="Removed.",
)
async def remove(endpoint_id: FromPath[str], request: ApiRequest, service: Api) -> None:
    """For good, with its secrets and what waits for it. Again is harmless."""
    known_id("whk", endpoint_id)
    meta = service.meta(request.user, request.request_id, f"webhooks/{endpoint_id}", None)
    await service.execute(RemoveWebhookEndpoint(request.user, endpoint_id), meta)


@post(
    "/{endpoint_id:str}/disable",
    status_code=200,
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Disable a webhook endpoint",
    operation_id="disableWebhookEndpoint",
    response_description="The endpoint as it is now.",
)
async def disable(
    endpoint_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Endpoint:
    """Nothing is sent any more, and what is due meanwhile is dropped. Again is harmless."""
    known_id("whk", endpoint_id)
    command = DisableWebhookEndpoint(request.user, endpoint_id, ASKED)
    return await _after(service, request, command, endpoint_id, idempotency_key)


@post(
    "/{endpoint_id:str}/enable",
    status_code=200,
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Enable a webhook endpoint",
    operation_id="enableWebhookEndpoint",
    response_description="The endpoint as it is now.",
)
async def enable(
    endpoint_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Endpoint:
    """What happens from now on is sent; for what was dropped, ask for redelivery. Its failures
    are forgotten. Again is harmless.
    """
    known_id("whk", endpoint_id)
    # First: counted from before, they would disable it again at its next failure.
    await service.run(service.application.turns.forgive, request.user, endpoint_id)
    command = EnableWebhookEndpoint(request.user, endpoint_id)
    return await _after(service, request, command, endpoint_id, idempotency_key)


async def _after(
    service: Service,
    request: ApiRequest,
    command: Command,
    endpoint_id: str,
    key: str | None = None,
) -> Endpoint:
    route = f"webhooks/{endpoint_id}/{type(command).__name__}"
    await service.execute(command, service.meta(request.user, request.request_id, route, key))
    return await service.run(_one, service, request.user, endpoint_id)


async def _judge(service: Service, url: str) -> None:
    """Raises WebhookAddressRefused."""
    asked = service.judge(service.application.webhook_guard.check, url)
    try:
        await asyncio.wait_for(asked, JUDGING_SECONDS)
    except TimeoutError:
        detail = f"No name server told within {JUDGING_SECONDS:g} seconds where this leads."
        raise WebhookAddressRefused(
            detail, reason="unresolved", errors=[{"pointer": "#/url", "detail": detail}]
        ) from None


def _one(service: Service, user_id: str, endpoint_id: str) -> Endpoint:
    kept = own_endpoint(service, user_id, endpoint_id)
    return render(service, user_id, kept, service.application.turns.find(user_id, endpoint_id))


def _all(service: Service, user_id: str) -> list[Endpoint]:
    kept = service.person(user_id).endpoints
    turns = service.application.turns.of(user_id) if kept else {}
    return [
        render(service, user_id, each, turns.get(name, Turn(user_id, name)))
        for name, each in kept.items()
    ]


ENDPOINT_ROUTES = (add, list_endpoints, show, change, remove, disable, enable)
