"""``GET /v1/jobs/{id}/events`` and ``GET /v1/events``: how jobs stand, told as it changes."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter, SkipValidation

from domain.errors import Invalid, TooManyStreams
from handlers.api.events import frames, looking
from handlers.api.events.bodies import JobChange, JobEnd, JobProgress, Ready, SignInAgain
from handlers.api.events.hub import Hub
from handlers.api.events.streaming import EventStream
from handlers.api.job_renderings import Job
from handlers.api.openapi import EVENTS, problems
from handlers.api.requests import ApiRequest, known_id
from handlers.api.service import Api
from projections import JOBS_VIEW

Listeners = NamedDependency[SkipValidation[Hub]]

_RESUME = "The id of the last event that you have: what came after it is told."
_INSTEAD = "`Last-Event-ID`, for clients that cannot send that header."
# A header is text; so many digits no version has.
HeadVersion = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", pattern="^[0-9]{1,15}$", description=_RESUME),
]
QueryVersion = Annotated[
    int | None,
    # Litestar leaves a bound of 0 out.
    QueryParameter(ge=0, le=2**53, description=_INSTEAD, schema_extra={"minimum": 0}),
]
HeadCursor = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", max_length=4096, description=_RESUME)
]
QueryCursor = Annotated[str | None, QueryParameter(max_length=4096, description=_INSTEAD)]

_OVER = {
    204: ResponseSpec(
        None,
        description="The job has ended and you have its last version: do not come back.",
        generate_examples=False,
    )
}


@get(
    "/jobs/{job_id:str}/events",
    media_type=frames.MEDIA_TYPE,
    responses=_OVER | problems(401, 403, 404, 422, TooManyStreams),
    opt={
        EVENTS: {"job": Job, "progress": JobProgress, "end": JobEnd, "sign_in_again": SignInAgain}
    },
    summary="Follow a job",
    operation_id="followJob",
    response_description="Server-sent events, until the job ends.",
)
async def follow_job(
    job_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    listeners: Listeners,
    resumed_from: HeadVersion = None,
    last_event_id: QueryVersion = None,
) -> Response[str]:
    """`job` events are the job itself, as GET gives it, with its version as id: at first as it
    stands, unless `Last-Event-ID` says that you have that; then whenever its version changed.
    Versions between two looks are skipped. `progress`, without an id, is what changes meanwhile.
    After `end` the stream closes; ask with the last id again, and the answer is 204.
    """
    known_id("job", job_id)
    listeners.slots.check(request.user)
    had = (last_event_id or 0) if resumed_from is None else int(resumed_from)
    found = await service.own(JOBS_VIEW, f"job-{job_id}", request.user, max(had, 1))
    shown = await service.run(looking.current, service, found)
    if shown.ended and shown.version <= had:
        return Response("", status_code=204)
    return EventStream(listeners, request, lambda: listeners.follow_job(shown, had))


@get(
    "/events",
    media_type=frames.MEDIA_TYPE,
    responses=problems(401, 403, 422, TooManyStreams),
    opt={
        EVENTS: {
            "job": JobChange,
            "progress": JobProgress,
            "ready": Ready,
            "sign_in_again": SignInAgain,
        }
    },
    summary="Follow all jobs",
    operation_id="followJobs",
    response_description="Server-sent events, for as long as you listen.",
)
async def follow_jobs(
    request: ApiRequest,
    service: Api,
    listeners: Listeners,
    resumed_from: HeadCursor = None,
    last_event_id: QueryCursor = None,
) -> Response[str]:
    """At first the open jobs, or with `Last-Event-ID` those that changed since; then `ready`; from
    then on every job that is new or changes. Ids are opaque. A job may be told again: its
    version orders what is said of it. The newest 2,000 jobs are followed.
    """
    user_id = request.user
    listeners.slots.check(user_id)
    given = last_event_id if resumed_from is None else resumed_from
    cursor = _cursor(listeners, user_id, given) if given else None
    found = await service.run(looking.listing, service, user_id)
    return EventStream(listeners, request, lambda: listeners.follow_user(user_id, found, cursor))


def _cursor(listeners: Hub, user_id: str, given: str) -> str:
    try:
        return listeners.cursor(user_id, given)
    except Invalid as error:
        raise Invalid(
            "This Last-Event-ID is not of an event of yours; listen without one.",
            errors=[{"header": "Last-Event-ID", "detail": "Not an id of your events."}],
        ) from error


FEEDS = Router(
    "/", route_handlers=[follow_job, follow_jobs], opt={"scope": "read"}, tags=["events"]
)
