"""``/v1/admin/jobs``: anybody's job, and hands on it."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from commands import AbandonSeparation, RefundSeparation, RequeueSeparation
from commands.dispatch import Command
from domain.errors import NotFound
from domain.job import JOB
from handlers.api.admin.acting import Because, acting
from handlers.api.job_renderings import Job, render
from handlers.api.openapi import problems
from handlers.api.renderings import Moment, moment
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.service import Api, Service
from infra.operations import Progress
from projections import JOBS_VIEW
from projections.folding import ReadModelStuck
from projections.jobs import JobView
from projections.query import Versioned, at_least, live


class WorkerReport(Struct, frozen=True, kw_only=True):
    """What a worker last said. done: 0..1 of the stage; it may be of an attempt that is over."""

    worker: str
    attempt: int
    stage: str
    done: float
    reported_at: Moment


class JobFile(Struct, frozen=True, kw_only=True):
    """What there is to know of a job. job: as its user sees it, without URLs.

    events: in its stream, which `/v1/admin/streams/{job_id}` shows; generation: of the jobs read
    model that the row is in; stuck: why the row cannot follow its events, then it shows what came
    before; charged: credits that completing takes, or took; report: of the last day.
    """

    job: Job
    user_id: str
    events: int
    charged: int
    generation: str
    stuck: str | None
    report: WorkerReport | None


@get(
    "/jobs/{job_id:str}",
    responses=problems(401, 403, 404),
    summary="Anybody's job",
    operation_id="getAnyJob",
    response_description="The job, its user, its events, and what its worker last said.",
)
async def show_any_job(job_id: FromPath[str], service: Api) -> JobFile:
    """For support: how a job stands and why it failed. Never stale."""
    return await service.run(_file, service, known_id("job", job_id))


@post(
    "/jobs/{job_id:str}/requeue",
    status_code=200,
    responses=problems(401, 403, 404, 409, 422),
    summary="Have a job done anew",
    operation_id="requeueJob",
    response_description="The job, queued.",
)
async def requeue(
    job_id: FromPath[str],
    data: JSONBody[Because],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> JobFile:
    """Whoever holds it; one that had failed runs again at no cost. Wakes a worker."""
    command = RequeueSeparation(known_id("job", job_id), data.reason)
    return await _act(service, request, command, f"jobs/{job_id}/requeue", idempotency_key)


@post(
    "/jobs/{job_id:str}/fail",
    status_code=200,
    responses=problems(401, 403, 404, 409, 422),
    summary="Fail an open job",
    operation_id="failJob",
    response_description="The job, failed.",
)
async def fail(
    job_id: FromPath[str],
    data: JSONBody[Because],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> JobFile:
    """Releases its credits. The user reads the reason."""
    command = AbandonSeparation(known_id("job", job_id), data.reason)
    return await _act(service, request, command, f"jobs/{job_id}/fail", idempotency_key)


@post(
    "/jobs/{job_id:str}/refund",
    status_code=200,
    responses=problems(401, 403, 404, 409, 422),
    summary="Give back what a job cost",
    operation_id="refundJob",
    response_description="The job, refunded.",
)
async def refund(
    job_id: FromPath[str],
    data: JSONBody[Because],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> JobFile:
    """Of a completed job, once; its stems stay."""
    command = RefundSeparation(known_id("job", job_id), data.reason)
    return await _act(service, request, command, f"jobs/{job_id}/refund", idempotency_key)


async def _act(
    service: Service, request: ApiRequest, command: Command, route: str, key: str | None
) -> JobFile:
    position = await service.execute(command, acting(service, request, route, key))
    return await service.run(_file, service, position.stream.partition("-")[2])


def _file(service: Service, job_id: str) -> JobFile:
    application, stream = service.application, JOB.stream(job_id)
    loaded = application.store.load(JOB, stream)
    if not loaded.version:
        raise NotFound("There is no such job.")
    found, stuck = _row(service, stream, loaded.version)
    return JobFile(
        job=render(service, found, links=False),
        user_id=found.view.user_id,
        events=loaded.version,
        charged=loaded.state.charged,
        generation=live(JOBS_VIEW, application.reading),
        stuck=stuck,
        report=_report(application.operations.progress(job_id)),
    )


def _row(service: Service, stream: str, version: int) -> tuple[Versioned[JobView], str | None]:
    """The row at that version; or as far as it goes, and why no further."""
    reading, stuck = service.application.reading, None
    try:
        found = at_least(JOBS_VIEW, stream, reading, version)
    except ReadModelStuck as error:
        found, stuck = at_least(JOBS_VIEW, stream, reading), error.detail
    if found is None:
        raise NotFound("There is no such job.")
    return found, stuck


def _report(progress: Progress | None) -> WorkerReport | None:
    if progress is None:
        return None
    return WorkerReport(
        worker=progress.worker,
        attempt=progress.attempt,
        stage=progress.stage,
        done=progress.done,
        reported_at=moment(progress.beat),
    )
