"""``/v1/jobs`` and ``/v1/quotes``: separations, what they cost, how far they are."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta as Rule
from msgspec import Struct
from msgspec.structs import asdict

from commands import CancelSeparation, DeleteJob, Position, RequestSeparation, RestoreJob
from commands.dispatch import Command
from commands.quotes import Quote, quote
from commands.separations import Wish
from domain.commit import Meta
from domain.credits import MAX_AMOUNT
from domain.errors import (
    AssetGone,
    AssetNotReady,
    AssetUnusable,
    NotEnoughCredits,
    NotFound,
    Paused,
    PriceChanged,
    UnknownModel,
    UnknownStem,
    UnsupportedFormat,
)
from domain.pricing import Quoted
from handlers.api.job_renderings import Job, render, reported
from handlers.api.listing import listed
from handlers.api.openapi import LOCATION, problems
from handlers.api.paging import Cursor, Limit, MinVersion, own_stream
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.result_renderings import state_of_source
from handlers.api.revalidation import (
    NOT_MODIFIED,
    answered,
    is_current,
    not_modified,
    tag,
    tagged,
    url_age,
)
from handlers.api.service import Api, Service
from projections import JOBS_VIEW
from projections.jobs import JobView
from projections.query import Versioned, folded

Name = Annotated[str, Rule(min_length=1, max_length=64)]
JobStream = Annotated[str | None, own_stream("job", "job")]
OF_WISH = (
    AssetGone, AssetNotReady, AssetUnusable, UnknownModel, UnknownStem, UnsupportedFormat,
)  # fmt: skip
"""What may be wrong with the song, or with what is asked of it."""


class JobBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What to separate. model: the default one unless named, with a prompt one that takes it.

    stems: leave it out for all of the model's; ``no_<stem>`` is the song without that stem.
    prompt: words that name the sound to take out, for models that take some. bundle: a zip of all
    stems as well. reuse: give stems that the same bytes, model and parameters made before, at no
    cost; false separates anew.
    """

    asset_id: Annotated[str, Rule(max_length=64)]
    model: Name | None = None
    stems: Annotated[tuple[Name, ...], Rule(min_length=1, max_length=32)] | None = None
    format: Name = "flac"
    prompt: Annotated[str, Rule(min_length=1, max_length=200)] | None = None
    bundle: bool = False
    reuse: bool = True


class AgreedQuote(Struct, frozen=True, forbid_unknown_fields=True):
    """What a quote said. price: credits, by the price list of that version."""

    price: Annotated[int, Rule(ge=0, le=MAX_AMOUNT)]
    price_list: Name


class JobWish(JobBody, frozen=True, forbid_unknown_fields=True):
    """retry_of: an ended job that this one tries again.

    quote: what the user agreed to; the job is refused as price_changed if it costs another price
    by now.
    """

    retry_of: Annotated[str, Rule(max_length=64)] | None = None
    quote: AgreedQuote | None = None


class QuoteAnswer(Struct, frozen=True, kw_only=True):
    """price, available: credits; seconds: of audio; enough: whether the job would be accepted.

    reused_from: the job whose stems would be given again, at no cost.
    """

    asset_id: str
    model: str
    stems: tuple[str, ...]
    format: str
    prompt: str | None
    seconds: float
    price: int
    price_list: str
    available: int
    enough: bool
    reused_from: str | None


class JobPage(Struct, frozen=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Job]
    cursor: str | None


@post(
    "/",
    opt={"scope": "read"},
    status_code=200,
    responses=problems(401, 404, 409, 422, *OF_WISH),
    summary="Ask for a price",
    operation_id="getQuote",
    response_description="The price, and whether the account covers it.",
)
async def ask(data: JSONBody[JobBody], request: ApiRequest, service: Api) -> QuoteAnswer:
    """The price of a separation, before it is spent. Reserves nothing."""
    found: Quote = await service.run(quote, service.application.context, request.user, _wish(data))
    asked = found.asked
    return QuoteAnswer(
        asset_id=asked.asset_id,
        model=asked.model,
        stems=asked.stems,
        format=asked.format,
        prompt=asked.prompt,
        seconds=round(found.seconds, 3),
        price=found.price,
        price_list=asked.price_list,
        available=found.available,
        enough=found.enough,
        reused_from=found.reused_from,
    )


def _wish(data: JobBody) -> Wish:
    return Wish(
        asset_id=known_id("ast", data.asset_id),
        model=data.model,
        stems=data.stems or (),
        format=data.format,
        prompt=data.prompt,
        bundle=data.bundle,
        reuse=data.reuse,
    )


@post(
    "/",
    opt={"scope": "write"},
    response_headers=[LOCATION],
    responses=problems(401, 404, 409, 422, NotEnoughCredits, Paused, PriceChanged, *OF_WISH),
    summary="Request a separation",
    operation_id="createJob",
    response_description="The job, queued.",
)
async def request_job(
    data: JSONBody[JobWish],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Reserves the price and queues the job. The same key again: the same job."""
    job = await requested(service, request, data, "jobs", idempotency_key)
    return Response(job, status_code=201, headers={"Location": f"/v1/jobs/{job.job_id}"})


async def requested(
    service: Service, request: ApiRequest, data: JobWish, route: str, key: str | None
) -> Job:
    """The job, queued. The same key on the same route: the same job."""
    user_id = request.user
    job_id = service.identified("job", user_id, route, key)
    command = RequestSeparation(
        user_id=user_id,
        job_id=job_id,
        retry_of=known_id("job", data.retry_of) if data.retry_of else None,
        quoted=Quoted(data.quote.price, data.quote.price_list) if data.quote else None,
        fresh=key is None,
        **asdict(_wish(data)),
    )
    meta = service.meta(user_id, request.request_id, route, key)
    return await _done(service, user_id, command, meta)


@get(
    "/",
    opt={"scope": "read"},
    responses=NOT_MODIFIED | problems(401, 404, 409, 422),
    summary="List jobs",
    operation_id="listJobs",
    response_description="A page of jobs.",
)
async def list_jobs(
    request: ApiRequest,
    service: Api,
    limit: Limit = 20,
    cursor: Cursor = None,
    stream: JobStream = None,
    min_version: MinVersion = 1,
) -> Response[JobPage]:
    """Jobs, newest first, without URLs: GET a job for those. With a command's stream and
    version, that write is in the list.
    """
    page = await listed(service, JOBS_VIEW, request.user, limit, cursor, stream, min_version)
    jobs = await service.run(lambda: [render(service, item, links=False) for item in page.items])
    return answered(request, JobPage(jobs, page.cursor))


@get(
    "/{job_id:str}",
    opt={"scope": "read"},
    responses=NOT_MODIFIED | problems(401, 404, 409, 422),
    summary="One job",
    operation_id="getJob",
    response_description="The job.",
)
async def show_job(
    job_id: FromPath[str], request: ApiRequest, service: Api, min_version: MinVersion = 1
) -> Response[Job]:
    """Status, stage, progress; once completed, the stems with signed URLs. At least as new as
    what this process last told. Its ETag changes with any of it, and before the URLs die.
    """
    known_id("job", job_id)
    found = await _own(service, request.user, job_id, min_version)
    live = await service.run(reported, service, found.view)
    age = url_age(service, found.stream) if found.view.stems else 0
    # Before anything is signed: most polls end here.
    source = await service.run(state_of_source, service, found.view)
    made = tag(Job, request, found, live, age, source)
    if is_current(request, made):
        return not_modified(made)
    return tagged(made, await service.run(render, service, found, live))


@post(
    "/{job_id:str}/cancel",
    opt={"scope": "write"},
    status_code=200,
    responses=problems(401, 404, 409, 422),
    summary="Cancel a job",
    operation_id="cancelJob",
    response_description="The job as it stands now.",
)
async def cancel(
    job_id: FromPath[str], request: ApiRequest, service: Api, idempotency_key: IdempotencyKey = None
) -> Job:
    """Takes the request back and releases its credits; an ended job stays as it ended."""
    known_id("job", job_id)
    route = f"jobs/{job_id}/cancel"
    meta = service.meta(request.user, request.request_id, route, idempotency_key)
    return await _done(service, request.user, CancelSeparation(request.user, job_id), meta)


@delete(
    "/{job_id:str}",
    opt={"scope": "write"},
    status_code=200,
    responses=problems(401, 404, 409, 422),
    summary="Delete a job's results",
    operation_id="deleteJob",
    response_description="The job, with the time until which its results can be had back.",
)
async def remove(job_id: FromPath[str], request: ApiRequest, service: Api) -> Job:
    """Its results are no longer served, and go for good at ``deleted_until``. Again is harmless;
    an open job is refused: cancel it first.
    """
    known_id("job", job_id)
    meta = service.meta(request.user, request.request_id, f"jobs/{job_id}", None)
    return await _done(service, request.user, DeleteJob(request.user, job_id), meta)


@post(
    "/{job_id:str}/restore",
    opt={"scope": "write"},
    status_code=200,
    responses=problems(401, 404, 409, 422),
    summary="Restore a job's results",
    operation_id="restoreJob",
    response_description="The job.",
)
async def restore(job_id: FromPath[str], request: ApiRequest, service: Api) -> Job:
    """Takes a deletion back, until ``deleted_until``. Again is harmless."""
    known_id("job", job_id)
    meta = service.meta(request.user, request.request_id, f"jobs/{job_id}/restore", None)
    return await _done(service, request.user, RestoreJob(request.user, job_id), meta)


async def _done(service: Service, user_id: str, command: Command, meta: Meta) -> Job:
    def told(left: Position) -> Job:
        service.project(JOBS_VIEW, left.stream, left.commit)
        return _told(service, user_id, left)

    return await service.execute_and(command, meta, told)


def _told(service: Service, user_id: str, left: Position) -> Job:
    found = folded(JOBS_VIEW, left.stream, service.application.reading, left.commit)
    if found is None or found.view.user_id != user_id:
        raise NotFound("You have no such job.")
    service.acknowledged.note(left.stream, found.version)
    return render(service, found)


async def _own(service: Service, user_id: str, job_id: str, min_version: int) -> Versioned[JobView]:
    return await service.own(JOBS_VIEW, f"job-{job_id}", user_id, min_version)


JOBS = Router(
    "/jobs",
    route_handlers=[request_job, list_jobs, show_job, cancel, remove, restore],
    tags=["jobs"],
)
QUOTES = Router("/quotes", route_handlers=[ask], tags=["jobs"])
