"""``POST /v1/uploads/batch``, ``POST /v1/jobs/batch``: several at once, each with its own result.

A batch is no transaction: what can be done is done, in order, and what cannot says why in its
place. The same batch under the same Idempotency-Key again does what is left, and tells the same.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta as Rule
from msgspec import Struct

from domain.errors import SplitSoundError
from handlers.api.job_renderings import Job
from handlers.api.jobs import JobWish, requested
from handlers.api.openapi import problems
from handlers.api.problems import Problem, problem_of
from handlers.api.requests import ApiRequest, IdempotencyKey
from handlers.api.service import Api
from handlers.api.uploads import NewUpload, Upload, begun

T = TypeVar("T")
MOST_UPLOADS, MOST_JOBS = 20, 50
MOST_URLS = 50
"""Of one upload; the others come by GET, as of any large one."""


class UploadBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Files to upload."""

    uploads: Annotated[list[NewUpload], Rule(min_length=1, max_length=MOST_UPLOADS)]


class BatchedUpload(Struct, frozen=True, kw_only=True):
    """status: as the upload alone would have been answered with. One of the others is null."""

    status: int
    upload: Upload | None
    problem: Problem | None


class BegunUploads(Struct, frozen=True):
    """In the order in which they were asked for. Each has at most 50 URLs at first."""

    items: list[BatchedUpload]


class JobBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What to separate."""

    jobs: Annotated[list[JobWish], Rule(min_length=1, max_length=MOST_JOBS)]


class BatchedJob(Struct, frozen=True, kw_only=True):
    """status: as the job alone would have been answered with. One of the others is null."""

    status: int
    job: Job | None
    problem: Problem | None


class RequestedJobs(Struct, frozen=True):
    """In the order in which they were asked for, which is that in which credits are reserved."""

    items: list[BatchedJob]


@post(
    "/uploads/batch",
    status_code=200,
    opt={"scope": "write"},
    responses=problems(401, 422),
    summary="Begin several uploads",
    operation_id="startUploads",
    response_description="What became of each.",
    tags=["uploads"],
)
async def begin_several(
    data: JSONBody[UploadBatch],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> BegunUploads:
    """Opens up to 20 sessions. What is refused keeps none of the others."""
    items = []
    for number, wanted in enumerate(data.uploads):
        key = _of(idempotency_key, number)
        begin = begun(service, request, wanted, "uploads/batch", key, MOST_URLS)
        status, upload, problem = await _result(request, begin, "/v1/uploads")
        items.append(BatchedUpload(status=status, upload=upload, problem=problem))
    return BegunUploads(items)


@post(
    "/jobs/batch",
    status_code=200,
    opt={"scope": "write"},
    responses=problems(401, 422),
    summary="Request several separations",
    operation_id="createJobs",
    response_description="What became of each.",
    tags=["jobs"],
)
async def request_several(
    data: JSONBody[JobBatch],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> RequestedJobs:
    """Queues up to 50 jobs, in order: when the credits run out, the later ones are answered with
    402 in their places and the earlier ones are queued.
    """
    items = []
    for number, wanted in enumerate(data.jobs):
        key = _of(idempotency_key, number)
        work = requested(service, request, wanted, "jobs/batch", key)
        status, job, problem = await _result(request, work, "/v1/jobs")
        items.append(BatchedJob(status=status, job=job, problem=problem))
    return RequestedJobs(items)


def _of(key: str | None, number: int) -> str | None:
    return None if key is None else f"{key}#{number}"


async def _result(
    request: ApiRequest, work: Awaitable[T], path: str
) -> tuple[int, T | None, Problem | None]:
    try:
        return 201, await work, None
    except SplitSoundError as error:
        status, problem = problem_of(request, error, path)
        return status, None, problem
