"""``/v1/admin/projections`` and ``/v1/admin/operations``: how read models and work stand."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

import projections
from commands import NoteAct, execute
from domain import acts
from domain.commit import Meta
from domain.errors import NotFound
from handlers.api.admin.acting import Because, acting
from handlers.api.openapi import problems
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.requests import ApiRequest, IdempotencyKey
from handlers.api.service import Api, Service
from handlers.operating import overview
from handlers.operating.lanes import LaneNow
from handlers.operating.overview import (
    GenerationNow,
    Health,
    OpenJob,
    ProjectionHealth,
)
from projections import switching


class RebuildBody(Struct, frozen=True):
    """A rebuild under way. done: 0..1 of the events; silent_seconds: since its last sign of life.

    One that is silent for more than 15 seconds was stopped: the same command goes on with it.
    """

    owner: str
    generation: int
    done: float
    silent_seconds: float


class ReadModel(Struct, frozen=True, kw_only=True):
    """version: of the code that runs; needs_rebuild: other code built the live generation.

    newest_commit_at: of the newest commit in its rows, age_seconds: since then, lag_seconds:
    from that commit to its row; null when no projector that lives has applied any. parked: streams
    that the live generation cannot follow. paused: why, while it is.
    """

    name: str
    version: int
    generation: int
    generations: list[GenerationNow]
    needs_rebuild: bool
    newest_commit_at: Moment | None
    age_seconds: float | None
    lag_seconds: float | None
    parked: int
    paused: str | None
    rebuild: RebuildBody | None


class ProjectorBody(Struct, frozen=True, kw_only=True):
    """alive: a pulse came through its queue lately; silent_seconds: since the last one did."""

    alive: bool
    silent_seconds: float | None
    processes: int
    backlog: int
    dead_letters: int


class ReadModels(Struct, frozen=True):
    """Read models and what feeds them."""

    at: Moment
    projector: ProjectorBody
    items: list[ReadModel]


class OpenJobBody(Struct, frozen=True, kw_only=True):
    """waited_seconds: since it was requested; silent_seconds: since its last sign of life."""

    job_id: str
    user_id: str
    model: str
    status: str
    attempt: int
    waited_seconds: float
    silent_seconds: float


class OperationsBody(Struct, frozen=True, kw_only=True):
    """What to look at first. oldest: the open job that has waited longest.

    queues: about how many messages wait or are in work in each, by lane for separations;
    dead_letters: about how many died, of all lanes together; lanes: jobs and workers of each;
    stuck: open jobs that are silent for
    longer than a worker may be; failures: jobs requested today and yesterday (UTC) that failed, by
    code; paused: reasons by subject.
    """

    at: Moment
    queues: dict[str, int]
    dead_letters: dict[str, int]
    lanes: dict[str, LaneNow]
    queued: int
    running: int
    oldest: OpenJobBody | None
    stuck: list[OpenJobBody]
    failures: dict[str, int]
    paused: dict[str, str]
    read_models: ReadModels


class Rollback(Because, frozen=True, forbid_unknown_fields=True):
    """live: the generation that is live as you know it.

    With it, a request that is sent again is refused instead of rolling back once more.
    """

    live: int | None = None


@get(
    "/projections",
    responses=problems(401, 403),
    summary="Read models",
    operation_id="listReadModels",
    response_description="How far each is behind, and what feeds them.",
)
async def show_projections(service: Api) -> ReadModels:
    """Lag, parked streams, generations, rebuilds, and whether the projector lives."""
    return read_models(await service.run(overview.health, service.application))


@post(
    "/projections/{name:str}/rollback",
    status_code=200,
    responses=problems(401, 403, 404, 409, 422),
    summary="Roll a read model back",
    operation_id="rollBackReadModel",
    response_description="The read model, with the generation that is live now.",
)
async def roll_back(
    name: FromPath[str],
    data: JSONBody[Rollback],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> ReadModel:
    """Queries read the generation that was live before, within seconds. One that other code built
    was not written to since it was kept: `splitsound projections verify NAME --repair` brings
    its rows to date.
    """
    if name not in projections.ALL:
        raise NotFound(f"There is no read model {name[:60]!r}.")
    meta = acting(service, request, f"projections/{name}/rollback", idempotency_key)
    return await service.run(_roll_back, service, name, data, meta)


@get(
    "/operations",
    responses=problems(401, 403),
    summary="What to look at first",
    operation_id="getOperations",
    response_description="Queues, open and stuck jobs, failures, read models.",
)
async def show_operations(service: Api) -> OperationsBody:
    """How work and read models stand at this moment."""
    found = await service.run(overview.operations, service.application)
    return OperationsBody(
        at=moment(found.time),
        queues=found.queues,
        dead_letters=found.dead_letters,
        lanes=found.lanes,
        queued=found.queued,
        running=found.running,
        oldest=_open_job(found.oldest) if found.oldest else None,
        stuck=[_open_job(each) for each in found.stuck],
        failures=found.failures,
        paused=found.paused,
        read_models=read_models(found.health),
    )


def _roll_back(service: Service, name: str, wish: Rollback, meta: Meta) -> ReadModel:
    application, projection = service.application, projections.ALL[name]
    reading = application.operating
    number = switching.former(projection, reading, wish.live)
    act = NoteAct(acts.ROLL_BACK, f"projection:{name}@{number}", wish.reason)
    execute(application.context, act, meta)
    switching.roll_back(projection, reading, application.clock.now(), number)
    found = overview.health(application)
    return next(_read_model(each) for each in found.projections if each.name == name)


def read_models(health: Health) -> ReadModels:
    """As the API shows them."""
    projector = health.projector
    return ReadModels(
        moment(health.time),
        ProjectorBody(
            alive=projector.alive,
            silent_seconds=_seconds(projector.silent_ms),
            processes=projector.processes,
            backlog=projector.backlog,
            dead_letters=projector.dead_letters,
        ),
        [_read_model(each) for each in health.projections],
    )


def _read_model(found: ProjectionHealth) -> ReadModel:
    build = found.rebuild
    return ReadModel(
        name=found.name,
        version=found.version,
        generation=found.generation,
        generations=found.generations,
        needs_rebuild=found.needs_rebuild,
        newest_commit_at=moment_or_none(found.newest),
        age_seconds=_seconds(found.age_ms),
        lag_seconds=_seconds(found.lag_ms),
        parked=found.parked,
        paused=found.paused,
        rebuild=RebuildBody(build.owner, build.number, round(build.done, 4), build.silent_ms / 1000)
        if build
        else None,
    )


def _open_job(found: OpenJob) -> OpenJobBody:
    return OpenJobBody(
        job_id=found.job_id,
        user_id=found.user_id,
        model=found.model,
        status=found.status,
        attempt=found.attempt,
        waited_seconds=found.waited_ms / 1000,
        silent_seconds=found.silent_ms / 1000,
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
