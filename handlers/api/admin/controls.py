"""``/v1/admin/pause``, ``resume``, ``controls``: intake, models and read models held shut."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta as Rule
from msgspec import Struct

from commands import Pause, Resume
from domain.controls import MAX_RETRY_SECONDS
from domain.errors import UnknownModel
from handlers.api.admin.acting import Because, acting
from handlers.api.openapi import problems
from handlers.api.renderings import Moment, moment
from handlers.api.requests import ApiRequest, IdempotencyKey
from handlers.api.service import Api, Service
from handlers.operating import holding
from handlers.operating.holding import Change, Held

Subject = Annotated[
    str,
    Rule(
        max_length=128,
        description="`intake` (maintenance mode), `model:<name>` or `projection:<name>`.",
    ),
]
Changes = Annotated[
    int, QueryParameter(ge=0, le=holding.LOOKED_BACK, description="Changes to tell of.")
]
_CHANGES = 20


class PauseWish(Because, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """retry_seconds: when callers are told to come back."""

    subject: Subject
    retry_seconds: Annotated[int, Rule(ge=1, le=MAX_RETRY_SECONDS)] = 300


class ResumeWish(Because, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to open again, and why."""

    subject: Subject


class PausedSubject(Struct, frozen=True, kw_only=True):
    """by: the user id, or how the command line calls the operator, who spoke last."""

    subject: str
    reason: str
    retry_seconds: int
    since: Moment
    by: str


class ControlChange(Struct, frozen=True, kw_only=True):
    """One turn of a switch. version: in the stream `controls-all`; retry_seconds: of a pause."""

    version: int
    time: Moment
    change: Annotated[str, Rule(extra_json_schema={"enum": ["paused", "resumed"]})]
    subject: str
    reason: str
    by: str
    retry_seconds: int | None


class Controls(Struct, frozen=True):
    """paused: what is shut, the longest first; changes: the newest first."""

    paused: list[PausedSubject]
    changes: list[ControlChange]


@get(
    "/controls",
    responses=problems(401, 403, 422),
    summary="What is paused",
    operation_id="getControls",
    response_description="What is shut, why, since when, by whom; and the latest changes.",
)
async def show_controls(service: Api, changes: Changes = _CHANGES) -> Controls:
    """Read from the events themselves; processes may go by what was so two seconds ago."""
    return await service.run(_controls, service, changes)


@post(
    "/pause",
    status_code=200,
    responses=problems(401, 403, 409, 422, UnknownModel),
    summary="Pause intake, a model or a read model",
    operation_id="pause",
    response_description="What is paused now.",
)
async def pause(
    data: JSONBody[PauseWish],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Controls:
    """Nothing new begins there until it is resumed; what has begun goes on. Every process knows
    within a few seconds.
    """
    await service.run(holding.require_known, service.application, data.subject)
    command = Pause(data.subject, data.reason, data.retry_seconds)
    await service.execute(command, acting(service, request, "pause", idempotency_key))
    return await service.run(_controls, service, _CHANGES)


@post(
    "/resume",
    status_code=200,
    responses=problems(401, 403, 409, 422, UnknownModel),
    summary="Open again what was paused",
    operation_id="resume",
    response_description="What is paused now.",
)
async def resume(
    data: JSONBody[ResumeWish],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Controls:
    """What is open stays open. Rows of a read model are brought to date within a minute."""
    await service.run(holding.require_known, service.application, data.subject)
    command = Resume(data.subject, data.reason)
    await service.execute(command, acting(service, request, "resume", idempotency_key))
    return await service.run(_controls, service, _CHANGES)


def _controls(service: Service, most: int) -> Controls:
    application = service.application
    return Controls(
        [_paused(each) for each in holding.held(application)],
        [_change(each) for each in islice(holding.changes(application), most)],
    )


def _paused(held: Held) -> PausedSubject:
    return PausedSubject(
        subject=held.subject,
        reason=held.reason,
        retry_seconds=held.retry_seconds,
        since=moment(held.since),
        by=held.by,
    )


def _change(change: Change) -> ControlChange:
    return ControlChange(
        version=change.version,
        time=moment(change.time),
        change="paused" if change.shuts else "resumed",
        subject=change.subject,
        reason=change.reason,
        by=change.by,
        retry_seconds=change.retry_seconds,
    )
