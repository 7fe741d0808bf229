"""``/v1/admin/dead-letters``: streams that a read model cannot follow, and messages that died."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

import projections
from commands import NoteAct, execute
from domain import acts
from domain.commit import Meta
from domain.errors import Invalid
from handlers.api.admin.acting import Because, acting
from handlers.api.openapi import problems
from handlers.api.renderings import Moment, moment
from handlers.api.requests import ApiRequest, IdempotencyKey
from handlers.api.service import Api, Service
from handlers.history import Told, said
from handlers.operating import redriving
from handlers.operating.overview import dead_letters
from infra.operations import Parked

ByProjection = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        description="Only streams of this read model.",
        schema_extra={"enum": list(projections.ALL)},
    ),
]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A stream that waits, in order, behind a commit that the read model's code rejects.

    version: of the rejected commit's first event; newest: the newest version that rang; tries:
    how often the commit was rejected.
    """

    projection: str
    generation: int
    stream: str
    version: int
    newest: int
    error: str
    tries: int
    parked_at: Moment
    changed_at: Moment


class DeadLetters(Struct, frozen=True):
    """queues: about how many messages rest in each queue's dead-letter queue."""

    items: list[DeadLetter]
    queues: dict[str, int]


class Rejection(Struct, frozen=True):
    """One generation that cannot follow the stream, and where its code fails."""

    letter: DeadLetter
    traceback: str


class DeadLetterFile(Struct, frozen=True, kw_only=True):
    """What there is to know. events: those of the commit that was rejected first.

    waiting: versions that are not in the rows, the rejected ones included; tip: the stream's.
    """

    projection: str
    stream: str
    rejections: list[Rejection]
    events: list[Told]
    waiting: int
    tip: int


class Redriven(Struct, frozen=True):
    """follows: whether this generation has all of the stream now; error: why it still has not."""

    generation: int
    follows: bool
    error: str | None
    tries: int


class Redrive(Struct, frozen=True):
    """follows: whether every generation does."""

    projection: str
    stream: str
    follows: bool
    generations: list[Redriven]


@get(
    "/dead-letters",
    responses=problems(401, 403, 422),
    summary="Parked streams",
    operation_id="listDeadLetters",
    response_description="Streams that wait, and dead messages per queue.",
)
async def list_dead_letters(service: Api, projection: ByProjection = None) -> DeadLetters:
    """Streams that a read model cannot follow; every other stream goes on."""
    if projection is not None and projection not in projections.ALL:
        detail = f"There are {', '.join(projections.ALL)}."
        raise Invalid(
            f"There is no read model {projection!r}. {detail}",
            errors=[{"parameter": "projection", "detail": detail}],
        )
    return await service.run(_list, service, projection)


@get(
    "/dead-letters/{projection:str}/{stream:str}",
    responses=problems(401, 403, 404),
    summary="A parked stream",
    operation_id="getDeadLetter",
    response_description="The error, its traceback, and the rejected events.",
)
async def show_dead_letter(
    projection: FromPath[str], stream: FromPath[str], service: Api
) -> DeadLetterFile:
    """Why the read model's code rejects the stream's next commit, and what waits behind it."""
    return await service.run(_show, service, projection, stream)


@post(
    "/dead-letters/{projection:str}/{stream:str}/redrive",
    status_code=200,
    responses=problems(401, 403, 404, 409, 422),
    summary="Let a parked stream follow again",
    operation_id="redriveDeadLetter",
    response_description="Whether it follows its events now, else why it still does not.",
)
async def redrive(
    projection: FromPath[str],
    stream: FromPath[str],
    data: JSONBody[Because],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Redrive:
    """Tries the rejected commit and all that wait behind it, in order. It fails as before until
    code that takes the commit is deployed; trying again harms nothing.
    """
    route = f"dead-letters/{projection}/{stream}/redrive"
    meta = acting(service, request, route, idempotency_key)
    return await service.run(_redrive, service, projection, stream, data.reason, meta)


def _list(service: Service, projection: str | None) -> DeadLetters:
    application = service.application
    parked = redriving.waiting(application.parked, application.operating, projection)
    return DeadLetters(
        [_letter(each) for each in parked],
        dead_letters(application),
    )


def _show(service: Service, projection: str, stream: str) -> DeadLetterFile:
    application = service.application
    found = redriving.find(application.parked, application.operating, projection, stream)
    version = min(each.version for each in found)
    rejected = next(application.store.read(stream, version - 1), None)
    tip = next(application.store.newest_first(stream), None)
    last = tip.last if tip else 0
    return DeadLetterFile(
        projection=projection,
        stream=stream,
        rejections=[Rejection(_letter(each), each.traceback) for each in found],
        events=said(rejected) if rejected else [],
        waiting=max(0, last - version + 1),
        tip=last,
    )


def _redrive(service: Service, projection: str, stream: str, reason: str, meta: Meta) -> Redrive:
    application = service.application
    parked, reading = application.parked, application.operating
    found = redriving.find(parked, reading, projection, stream)
    act = NoteAct(acts.REDRIVE, f"{projection}/{stream}", reason)
    execute(application.context, act, meta)
    tried = []
    for each in found:
        now = application.clock.now()
        still = redriving.redrive(parked, reading, each, now)
        error = still.error if still else None
        tried.append(Redriven(each.number, still is None, error, (still or each).tries))
    return Redrive(projection, stream, all(each.follows for each in tried), tried)


def _letter(parked: Parked) -> DeadLetter:
    return DeadLetter(
        projection=parked.projection,
        generation=parked.number,
        stream=parked.stream,
        version=parked.version,
        newest=parked.last,
        error=parked.error,
        tries=parked.tries,
        parked_at=moment(parked.since),
        changed_at=moment(parked.changed),
    )
