"""``/v1/me``: who am I, everything about me, and forget me."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import Response, Router, delete, get
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import Meta as Rule
from msgspec import Struct

from commands import EraseUser
from domain.errors import ConfirmationRequired
from domain.user import USER
from handlers.api.me.exporting import exported
from handlers.api.me.person import Me, me_of
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api
from infra.identity import normalised

JSON_LINES = "application/jsonl"
REASON = "asked for by the person"


class Confirmation(Struct, frozen=True, forbid_unknown_fields=True):
    """confirm: the person's own address, so that nobody is forgotten by accident."""

    # Not called email: what tries an API out sends what it was told under the same name.
    confirm: Annotated[str, Rule(max_length=320)]


class ErasureBegun(Struct, frozen=True, kw_only=True):
    """It goes on by itself and takes minutes; until then nobody can sign up with that account."""

    user_id: str
    stream: str
    version: int


@get(
    "/",
    opt={"scope": "read"},
    responses=NOT_MODIFIED | problems(401, 404, 410),
    summary="Who am I",
    operation_id="getMe",
    response_description="The person that the token or API key speaks for.",
)
async def show_me(request: ApiRequest, service: Api) -> Response[Me]:
    """Whom this token or API key speaks for, and what it may do."""
    return answered(request, await service.run(me_of, service, request.user, request.auth))


@get(
    "/export",
    opt={"scope": None},
    media_type=JSON_LINES,
    responses=problems(401, 403, 404, 410),
    summary="Export everything about me",
    operation_id="exportMe",
    response_description="JSON Lines; the last one has the kind `end` and counts the others.",
)
async def export_me(request: ApiRequest, service: Api) -> Stream:
    """Person, API keys and webhook endpoints without their secrets, deliveries, uploads, jobs,
    purchases, the credit statement and all events, with names opened and signed URLs of the files.
    """
    user_id = request.user
    await service.run(me_of, service, user_id)  # before the first byte says 200
    day = datetime.fromtimestamp(service.application.clock.now() / 1000, UTC).date()
    headers = {
        "Content-Disposition": f'attachment; filename="splitsound-{day}.jsonl"',
        "Cache-Control": "no-store",
    }
    return Stream(exported(service, user_id), media_type=JSON_LINES, headers=headers)


@delete(
    "/",
    status_code=202,
    opt={"scope": None},
    responses=problems(401, 403, 404, 409, 410, 422, ConfirmationRequired),
    summary="Forget me",
    operation_id="eraseMe",
    response_description="It has begun, and cannot be taken back.",
)
async def erase_me(
    request: ApiRequest, service: Api, data: JSONBody[Confirmation | None] = None
) -> ErasureBegun:
    """Open jobs are cancelled; credits that are left are forfeited; media, lists, keys, deliveries
    and stored answers go, and with the key of your personal data whatever can be read of it in
    histories and backups. Confirm it by your address in the body. Afterwards every request is
    answered 410.
    """
    user_id = request.user
    me = await service.run(me_of, service, user_id)
    if data is None or normalised(data.confirm) != me.email:
        raise ConfirmationRequired(
            'Confirm with your own address in the body, {"confirm": "..."}; GET /v1/me tells it.',
            missing=["confirmation"],
        )
    meta = service.meta(user_id, request.request_id, "me", None)
    position = await service.execute(EraseUser(user_id, REASON), meta)
    service.key_ring.changed(user_id)
    return ErasureBegun(user_id=user_id, stream=USER.stream(user_id), version=position.version)


ME = Router("/me", route_handlers=[show_me, export_me, erase_me], tags=["me"])
