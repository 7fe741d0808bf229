"""A job as the API shows it: the row, the worker's live report, and signed URLs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta as Rule
from msgspec import Struct

from domain import filenames
from domain.audio import FORMATS
from domain.job import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING
from domain.stems import StemFile
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.service import Service
from handlers.operating.lanes import NOTHING, Expected
from projections import LIBRARY_VIEW
from projections.jobs import JobView
from projections.progress import current_stage, overall
from projections.query import Versioned, at_least

JobStatus = Annotated[
    str, Rule(extra_json_schema={"enum": [QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED]})
]


class JobFailure(Struct, frozen=True):
    """Where and why a job failed. Its credits are released."""

    stage: str
    code: str
    detail: str


class FinishedStage(Struct, frozen=True):
    """A stage that ended, and how long it took."""

    attempt: int
    stage: str
    seconds: float


class Stem(Struct, frozen=True):
    """A finished stem. url: signed, takes Range requests; null in lists. peak: before encoding."""

    name: str
    filename: str | None
    bytes: int
    media_type: str
    peak: float
    url: str | None
    expires_at: Moment | None


class Job(Struct, frozen=True, kw_only=True):
    """A separation. status: queued, running, completed, failed or cancelled.

    progress: 0..1 of the whole, never going back within an attempt; seconds: of audio;
    price: credits that it costs, by the price list of that version; 0 once the operators have it
    done anew after a failure;
    requeues: how often the operators had it done anew; refunded: credits that they gave back;
    gain_db: the one gain that all stems share;
    queue_position: 1 is next, of a queued job; estimated_end_at: of an open one, from the measured
    speed of its model and the work before it; null while nothing can be said.
    """

    job_id: str
    status: JobStatus
    asset_id: str
    model: str
    stems_wanted: tuple[str, ...]
    format: str
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
    gain_db: float | None
    failure: JobFailure | None
    requested_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    retry_of: str | None
    stream: str
    version: int


def render(
    service: Service,
    found: Versioned[JobView],
    live: Live | None = None,
    links: bool = True,
) -> Job:
    """live: what ``reported`` says, read here unless given. links: sign a URL for each stem."""
    view = found.view
    live = reported(service, view) if live is None else live
    completed = view.status == COMPLETED
    return Job(
        job_id=view.job_id,
        status=view.status,
        asset_id=view.asset_id,
        model=view.model,
        stems_wanted=view.wanted,
        format=view.format,
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
        stages=[FinishedStage(s.attempt, s.stage, s.milliseconds / 1000) for s in view.stages],
        stems=_stems(service, view, links),
        gain_db=view.gain_db if completed else None,
        failure=_failure(view),
        requested_at=moment(view.requested),
        started_at=moment_or_none(view.started),
        ended_at=moment_or_none(view.ended),
        retry_of=view.retry_of,
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
    stage, done = _progress(service, view)
    return Live(stage, done, service.waiting.expected(view, overall(view, stage, done)))


def _progress(service: Service, view: JobView) -> tuple[str, float]:
    if view.status != RUNNING:
        return "", 0.0
    live = service.application.operations.progress(view.job_id)
    # A report of another attempt is of a worker that lost the job, or whose claim is not
    # in the row yet.
    if live is None or live.attempt != view.attempt:
        return "", 0.0
    return live.stage, live.done


def _failure(view: JobView) -> JobFailure | None:
    if view.status != FAILED:
        return None
    return JobFailure(view.failed_stage, view.failure, view.detail)


def _stems(service: Service, view: JobView, links: bool) -> list[Stem]:
    if not links or not view.stems:
        return [_stem(s) for s in view.stems]
    source = at_least(LIBRARY_VIEW, f"asset-{view.asset_id}", service.application.reading)
    title = source.view.filename if source else view.asset_id
    extension = FORMATS[view.format].extension
    objects = service.objects
    expires = moment(service.application.clock.now() + 1000 * objects.presign_seconds)
    stems = []
    for stem in view.stems:
        filename = filenames.of_stem(title, stem.name, extension)
        url = objects.presign_get(stem.key, filename, stem.media_type)
        stems.append(_stem(stem, filename, url, expires))
    return stems


def _stem(
    stem: StemFile,
    filename: str | None = None,
    url: str | None = None,
    expires: Moment | None = None,
) -> Stem:
    return Stem(stem.name, filename, stem.bytes, stem.media_type, stem.peak, url, expires)
