"""``/v1/admin/users``: what operators do about people."""

from __future__ import annotations

from litestar import post
from litestar.params import FromPath, JSONBody

from commands import EraseUser
from domain.errors import ConfirmationRequired
from domain.user import USER
from handlers.api.admin.acting import Because, acting
from handlers.api.me.routes import ErasureBegun
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.service import Api


@post(
    "/users/{user_id:str}/erase",
    status_code=202,
    responses=problems(401, 403, 404, 409, 422, ConfirmationRequired),
    summary="Forget a person",
    operation_id="eraseUser",
    response_description="It has begun, and cannot be taken back.",
)
async def erase_user(
    user_id: FromPath[str],
    data: JSONBody[Because],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> ErasureBegun:
    """The same as when a person asks for it by `DELETE /v1/me`, which is the only way for your own
    account. Again is harmless.
    """
    known_id("usr", user_id)
    if user_id == request.user:
        raise ConfirmationRequired(
            "This is your own account: DELETE /v1/me asks whether you mean it.",
            missing=["confirmation"],
        )
    meta = acting(service, request, f"users/{user_id}/erase", idempotency_key)
    position = await service.execute(EraseUser(user_id, data.reason), meta)
    service.key_ring.changed(user_id)
    return ErasureBegun(user_id=user_id, stream=USER.stream(user_id), version=position.version)
