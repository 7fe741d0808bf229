"""``/v1/admin/credits``: anybody's account, and hands on it."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta as Rule
from msgspec import Struct

from commands import AdjustCredits
from commands.ledger import ADJUSTMENT
from domain.credits import CREDITS, MAX_AMOUNT
from domain.errors import NotFound
from handlers.api.admin.acting import Reason, acting
from handlers.api.credits import Account, render
from handlers.api.openapi import problems
from handlers.api.renderings import Moment
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.service import Api, Service


class Adjustment(Struct, frozen=True, forbid_unknown_fields=True):
    """amount: credits to give, or (negative) to take out of what can be spent; never 0.

    source: of what is given, an adjustment or a promotion; expires_at: when what is given is
    over; priority: of low priority is spent first.
    """

    amount: Annotated[
        int, Rule(ge=-MAX_AMOUNT, le=MAX_AMOUNT, extra_json_schema={"not": {"const": 0}})
    ]
    reason: Reason
    source: Literal["adjustment", "promotion"] = ADJUSTMENT  # type: ignore[assignment]
    expires_at: Moment | None = None
    priority: Annotated[int, Rule(ge=0, le=1000)] = 100


@get(
    "/credits/{user_id:str}",
    responses=problems(401, 403, 404),
    summary="Anybody's account",
    operation_id="getAnyCredits",
    response_description="The account, from its events.",
)
async def show_account(user_id: FromPath[str], service: Api) -> Account:
    """As it stands now. Never stale."""
    return await service.run(_account, service, known_id("usr", user_id))


@post(
    "/credits/{user_id:str}/adjust",
    status_code=200,
    responses=problems(401, 403, 404, 409, 422),
    summary="Give or take credits",
    operation_id="adjustCredits",
    response_description="The account afterwards.",
)
async def adjust(
    user_id: FromPath[str],
    data: JSONBody[Adjustment],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Account:
    """The user reads the reason. What is given settles a debt first; what is taken makes none."""
    user_id = known_id("usr", user_id)
    expires = int(data.expires_at.timestamp() * 1000) if data.expires_at else None
    command = AdjustCredits(user_id, data.amount, data.reason, data.source, expires, data.priority)
    meta = acting(service, request, f"credits/{user_id}/adjust", idempotency_key)
    await service.execute(command, meta)
    return await service.run(_account, service, user_id)


def _account(service: Service, user_id: str) -> Account:
    application = service.application
    loaded = application.store.load(CREDITS, CREDITS.stream(user_id))
    if not loaded.version:
        raise NotFound("There is no such account.")
    now = application.clock.now()
    return render(loaded.tip.stream, loaded.version, loaded.state, now)
