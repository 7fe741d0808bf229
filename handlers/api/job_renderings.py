"""A job as the API shows it: the row, the worker's live report, and signed URLs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta as Rule
from msgspec import Struct

from domain.job import (
    ABANDONED,
    CANCELLED,
    COMPLETED,
    FAILED,
    GAVE_UP,
    QUEUED,
    RUNNING,
    STAGES,
)
from domain.lanes import LANES
from domain.retention import days_left, earliest
from handlers.api import result_renderings as results
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.result_renderings import Quality, Stem, Zip
from handlers.api.service import Service
from handlers.operating.lanes import NOTHING, Expected
from infra.operations import Progress
from projections.jobs import JobView
from projections.progress import current_stage, overall
from projections.query import Versioned

JobStatus = Annotated[
    str, Rule(extra_json_schema={"enum": [QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED]})
]


KNOWN_FAILURES = (
    "media_unreadable", "media_empty", "media_too_long", "media_forbidden", "media_changed",
    "no_audio", "source_missing", "ffmpeg_timeout", "ffmpeg_failed",
    "model_unavailable", "model_out_of_memory", "model_failed", "prompt_not_understood",
    "provider_unavailable", "provider_timeout", "provider_refused", "provider_failed",
    *(f"{stage}_timeout" for stage in STAGES if stage != "decode"), "worker_disk_full",
    GAVE_UP, ABANDONED,
)  # fmt: skip
FailureCode = Annotated[
    str,
    Rule(
        description=f"One of {', '.join(KNOWN_FAILURES)}. More may come: treat one that you do "
        f"not know like {GAVE_UP}.",
        extra_json_schema={"x-known-values": list(KNOWN_FAILURES)},
    ),
]


class JobFailure(Struct, frozen=True):
    """Where and why a job failed. Its credits are released. stage: empty outside of any."""

    stage: str
    code: FailureCode
    detail: str


class FinishedStage(Struct, frozen=True):
    """A stage that ended, how long it took, and in how many tries. Stages may overlap."""

    attempt: int
    stage: str
    seconds: float
    tries: int


class Job(Struct, frozen=True, kw_only=True):
    """A separation. status: queued, running, completed, failed or cancelled.

    progress: 0..1 of the whole, never going back within an attempt; seconds: of audio;
    price: credits that it costs, by the price list of that version; 0 once the operators have it
    done anew after a failure;
    requeues: how often the operators had it done anew; refunded: credits that they gave back;
    lane: the queue it waits in; prompt: words that name the sound, of a model that takes some;
    bundle: whether a zip of all stems is wanted, zip: null until it is there;
    queue_position: 1 is next, of a queued job; estimated_end_at: of an open one, from the measured
    speed of its model and the work before it; null while nothing can be said;
    gain_db: the one gain that all stems share; quality: null until the job has completed;
    reused_from: the job that made these stems, where they were given again at no cost;
    expires_at: when the results go, deleted or by the time they are kept, in days_left days; null
    where they are kept. deleted_until: until then deleted results can be had back. purged: they
    are gone. Results that are deleted, or of a deleted upload, or over, have no URLs.
    """

    job_id: str
    status: JobStatus
    asset_id: str
    model: str
    stems_wanted: tuple[str, ...]
    format: str
    prompt: str | None
    bundle: bool
    lane: Annotated[str, Rule(extra_json_schema={"enum": list(LANES)})]
    seconds: float
    price: int
    price_list: str
    refunded: int
    attempt: int
    requeues: int
    stage: str | None
    progress: float
    queue_position: int | None
    estimated_end_at: Moment | None
    stages: list[FinishedStage]
    stems: list[Stem]
    zip: Zip | None
    gain_db: float | None
    quality: Quality | None
    failure: JobFailure | None
    requested_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    retry_of: str | None
    reused_from: str | None
    expires_at: Moment | None
    days_left: int | None
    deleted_until: Moment | None
    purged: bool
    stream: str
    version: int


def render(
    service: Service,
    found: Versioned[JobView],
    live: Live | None = None,
    links: bool = True,
) -> Job:
    """live: what ``reported`` says, read here unless given. links: sign URLs for all files."""
    view = found.view
    live = reported(service, view) if live is None else live
    completed = view.status == COMPLETED
    signing = results.links_of(service, view) if links else None
    return Job(
        job_id=view.job_id,
        status=view.status,
        asset_id=view.asset_id,
        model=view.model,
        stems_wanted=view.wanted,
        format=view.format,
        prompt=view.prompt,
        bundle=view.bundle,
        lane=view.lane,
        seconds=round(view.seconds, 3),
        price=0 if view.free else view.price,
        price_list=view.price_list,
        refunded=view.refunded,
        attempt=view.attempt,
        requeues=view.requeues,
        stage=current_stage(view, live.stage),
        progress=overall(view, live.stage, live.done),
        queue_position=live.expected.position,
        estimated_end_at=moment_or_none(live.expected.ends),
        stages=[
            FinishedStage(s.attempt, s.stage, s.milliseconds / 1000, s.tries) for s in view.stages
        ],
        stems=results.stems(view, signing),
        zip=results.bundle(view, signing),
        gain_db=view.gain_db if completed else None,
        quality=results.quality(view),
        failure=_failure(view),
        requested_at=moment(view.requested),
        started_at=moment_or_none(view.started),
        ended_at=moment_or_none(view.ended),
        retry_of=view.retry_of,
        reused_from=view.reused_from,
        expires_at=moment_or_none(earliest(view.expires, view.deleted_until)),
        days_left=days_left(
            earliest(view.expires, view.deleted_until), service.application.clock.now()
        ),
        deleted_until=moment_or_none(view.deleted_until),
        purged=view.purged,
        stream=found.stream,
        version=found.version,
    )


class Live(Struct, frozen=True):
    """What is said of an open job beside its row: the stage that its worker reports, how much of
    it is done (0..1), its place in the queue, its estimated end.
    """

    stage: str = ""
    done: float = 0.0
    expected: Expected = NOTHING


def reported(service: Service, view: JobView) -> Live:
    """What can be said of the job at this moment."""
    running = view.status == RUNNING
    return told(
        service, view, service.application.operations.progress(view.job_id) if running else None
    )


def told(service: Service, view: JobView, report: Progress | None) -> Live:
    """What can be said of the job, given its worker's report."""
    stage, done = _progress(view, report)
    return Live(stage, done, service.waiting.expected(view, overall(view, stage, done)))


def _progress(view: JobView, live: Progress | None) -> tuple[str, float]:
    # A report of another attempt is of a worker that lost the job, or whose claim is not
    # in the row yet.
    if view.status != RUNNING or live is None or live.attempt != view.attempt:
        return "", 0.0
    return live.stage, live.done


def _failure(view: JobView) -> JobFailure | None:
    if view.status != FAILED:
        return None
    return JobFailure(view.failed_stage, view.failure, view.detail)
