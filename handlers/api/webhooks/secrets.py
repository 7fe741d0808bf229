"""The secrets of webhook endpoints: told, and rotated with an overlap."""

from __future__ import annotations

import os
from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta as Rule
from msgspec import Struct
from msgspec.structs import asdict

from commands import RotateWebhookSecret
from domain.user import MOST_OVERLAP_MS
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.service import Api, Service
from handlers.api.webhooks.renderings import EndpointWithSecret, own_endpoint, render
from infra.webhooks import new_secret
from infra.webhooks.signing import SECRET_BYTES

_HOUR_MS = 3_600_000


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """overlap_hours: for how long messages are signed with the old secret too; 0: not at all."""

    overlap_hours: Annotated[int, Rule(ge=0, le=MOST_OVERLAP_MS // _HOUR_MS)] = 24


@get(
    "/{endpoint_id:str}/secret",
    opt={"scope": None},
    responses=problems(401, 403, 404, 410, 422),
    summary="Reveal a webhook endpoint's secret",
    operation_id="revealWebhookSecret",
    response_description="The endpoint, with its secret.",
)
async def reveal(
    endpoint_id: FromPath[str], request: ApiRequest, service: Api
) -> EndpointWithSecret:
    """Only to the signed-in person, never to an API key."""
    known_id("whk", endpoint_id)
    return await service.run(with_secret, service, request.user, endpoint_id)


@post(
    "/{endpoint_id:str}/rotate",
    status_code=200,
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Rotate a webhook endpoint's secret",
    operation_id="rotateWebhookSecret",
    response_description="The endpoint, with its new secret.",
)
async def rotate(
    endpoint_id: FromPath[str],
    data: JSONBody[Rotation],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> EndpointWithSecret:
    """Until the overlap is over messages carry two signatures, and receivers that know either
    secret can verify them. A further rotation ends the overlap of the one before.
    """
    known_id("whk", endpoint_id)
    user_id = request.user
    overlap = data.overlap_hours * _HOUR_MS
    command = RotateWebhookSecret(user_id, endpoint_id, fresh_secret(), overlap)
    route = f"webhooks/{endpoint_id}/rotate"
    meta = service.meta(user_id, request.request_id, route, idempotency_key)
    await service.execute(command, meta)
    return await service.run(with_secret, service, user_id, endpoint_id)


def fresh_secret() -> str:
    """One that nobody knows yet."""
    return new_secret(os.urandom(SECRET_BYTES))


def with_secret(service: Service, user_id: str, endpoint_id: str) -> EndpointWithSecret:
    """The endpoint with the secret that it has now. Raises NotFound, AccountErased."""
    application = service.application
    kept = own_endpoint(service, user_id, endpoint_id)
    shown = render(service, user_id, kept, application.turns.find(user_id, endpoint_id))
    return EndpointWithSecret(
        **asdict(shown), secret=application.personal.unseal(user_id, kept.secret)
    )


SECRET_ROUTES = (reveal, rotate)
