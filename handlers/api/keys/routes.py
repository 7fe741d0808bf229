"""Make, list and revoke API keys. Only the signed-in person does, never a key."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated, Any

from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta as Rule
from msgspec import Struct

from commands import CreateApiKey, RevokeApiKey
from commands.users import MOST_NAME, person_of
from domain import api_keys
from domain.api_keys import SCOPES, ApiKey
from domain.errors import Refused
from domain.user import present
from handlers.api.openapi import LOCATION, problems
from handlers.api.patterns import NOT_BLANK
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service

Scope = Annotated[str, Rule(extra_json_schema={"enum": list(SCOPES)})]


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """name: what you will know it by. expires_at: when it ends by itself; null: never."""

    name: Annotated[
        str,
        Rule(min_length=1, max_length=MOST_NAME, extra_json_schema={"pattern": NOT_BLANK}),
    ]
    scopes: Annotated[tuple[Scope, ...], Rule(min_length=1, max_length=len(SCOPES))]
    expires_at: Annotated[datetime, Rule(tz=True)] | None = None


class Key(Struct, frozen=True, kw_only=True):
    """A key, without its secret. last_used_at: to the minute; null: not in living memory."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None


class MadeKey(Key, frozen=True, kw_only=True):
    """key: the key itself, told this once.

    A request that is sent again under its Idempotency-Key makes no second key. For a day it is
    answered as the first time; later nobody knows the text any more, and it is null.
    """

    key: str | None


class Keys(Struct, frozen=True):
    """All keys that are good, the newest first."""

    items: list[Key]


@post(
    "/",
    response_headers=[LOCATION],
    responses=problems(401, 403, 409, 410, 422),
    summary="Make an API key",
    operation_id="createApiKey",
    response_description="The key; it is told this once.",
)
async def make(
    data: JSONBody[NewKey],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Response[MadeKey]:
    """Keep it like a password: whoever has it acts for you, as far as its scopes go."""
    user_id = request.user
    key_id = service.identified("key", user_id, "api-keys", idempotency_key)
    text = api_keys.compose(user_id, key_id, os.urandom(api_keys.SECRET_BYTES))
    expires = round(data.expires_at.timestamp() * 1000) if data.expires_at else None
    command = CreateApiKey(user_id, key_id, data.name, api_keys.digest(text), data.scopes, expires)
    meta = service.meta(user_id, request.request_id, "api-keys", idempotency_key)
    await service.execute(command, meta)
    service.key_ring.changed(user_id)
    body = await service.run(_made, service, user_id, key_id, text)
    return Response(body, status_code=201, headers={"Location": f"/v1/api-keys/{key_id}"})


@get(
    "/",
    responses=NOT_MODIFIED | problems(401, 403, 410, 422),
    summary="List API keys",
    operation_id="listApiKeys",
    response_description="The keys, without their secrets.",
)
async def list_keys(request: ApiRequest, service: Api) -> Response[Keys]:
    """Keys that are revoked are gone from the list; expired ones stand there until then."""
    return answered(request, Keys(await service.run(keys_of, service, request.user)))


@delete(
    "/{key_id:str}",
    responses=problems(401, 403, 404, 409, 410, 422),
    summary="Revoke an API key",
    operation_id="revokeApiKey",
    response_description="Revoked.",
)
async def revoke(key_id: FromPath[str], request: ApiRequest, service: Api) -> None:
    """Ends it within seconds. A key that is revoked already is not there any more: 404."""
    known_id("key", key_id)
    meta = service.meta(request.user, request.request_id, f"api-keys/{key_id}", None)
    await service.execute(RevokeApiKey(request.user, key_id), meta)
    service.key_ring.changed(request.user)


def keys_of(service: Service, user_id: str) -> list[Key]:
    """The person's keys, the newest first. Raises AccountErased, NotFound. Blocks."""
    state = present(person_of(service.application.context, user_id).state)
    uses = service.key_uses.of(user_id)
    newest_first = sorted(state.keys.values(), key=lambda k: k.created, reverse=True)
    return [
        Key(**_facts(service, user_id, key), last_used_at=moment_or_none(uses.get(key.key_id)))
        for key in newest_first
    ]


def _made(service: Service, user_id: str, key_id: str, text: str) -> MadeKey:
    """The key as it was made first: of a repeated request, nobody knows its text any more."""
    key = present(person_of(service.application.context, user_id).state).keys.get(key_id)
    if key is None:
        raise Refused("An earlier request made this key, and it is revoked; send a new key.")
    told = text if key.digest == api_keys.digest(text) else None
    return MadeKey(**_facts(service, user_id, key), last_used_at=None, key=told)


def _facts(service: Service, user_id: str, key: ApiKey) -> dict[str, Any]:
    place = (f"user-{user_id}", key.name.version, key.name.field)
    return {
        "key_id": key.key_id,
        "name": service.application.personal.open(user_id, place, key.name.text),
        "scopes": key.scopes,
        "created_at": moment(key.created),
        "expires_at": moment_or_none(key.expires),
    }


KEYS = Router(
    "/api-keys", route_handlers=[make, list_keys, revoke], opt={"scope": None}, tags=["API keys"]
)
