"""Jobs: status, stages with their times, stems, failure. One row per job stream."""

from __future__ import annotations

from msgspec import Struct

from domain import job
from domain.aggregate import Recorded
from domain.job import JOB, StemFile
from projections.projection import Index, Projection


class StageView(Struct, frozen=True):
    """One finished stage of one attempt."""

    attempt: int
    stage: str
    milliseconds: int


class JobView(Struct):
    """Times are epoch milliseconds, 0 while they have not come.

    requeues: how often an operator had it done anew. free: it will cost nothing, whatever the
    price. refunded: credits given back. price_list: empty in rows of before it was shown.
    """

    job_id: str = ""
    user_id: str = ""
    asset_id: str = ""
    model: str = ""
    wanted: tuple[str, ...] = ()
    format: str = ""
    seconds: float = 0.0
    price: int = 0
    retry_of: str | None = None
    status: str = job.ABSENT
    attempt: int = 0
    stages: list[StageView] = []
    stems: tuple[StemFile, ...] = ()
    gain_db: float = 0.0
    failed_stage: str = ""
    failure: str = ""
    detail: str = ""
    requested: int = 0
    started: int = 0
    changed: int = 0
    ended: int = 0
    requeues: int = 0
    free: bool = False
    refunded: int = 0
    price_list: str = ""

    @property
    def stage(self) -> str:
        """The stage that the running attempt is in; empty unless it runs."""
        if self.status != job.RUNNING:
            return ""
        done = {s.stage for s in self.stages if s.attempt == self.attempt}
        return next((s for s in job.STAGES if s not in done), job.STAGES[-1])


def apply(view: JobView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    event = recorded.event
    view.changed = recorded.time
    match event:
        # First, because most events of a job are stages.
        case job.StageRecorded():
            view.stages.append(StageView(event.attempt, event.stage, event.milliseconds))
        case job.SeparationRequested():
            view.job_id = recorded.stream.partition("-")[2]
            view.user_id, view.asset_id = event.user_id, event.asset_id
            view.model, view.wanted, view.format = event.model, event.stems, event.format
            view.seconds = event.samples / event.rate
            view.price, view.price_list = event.price, event.price_list
            view.retry_of = event.retry_of
            view.status, view.requested = job.QUEUED, recorded.time
        case job.SeparationStarted():
            view.status, view.attempt = job.RUNNING, event.attempt
            view.started = view.started or recorded.time
        case job.SeparationCompleted():
            _end(view, job.COMPLETED, recorded.time)
            view.stems, view.gain_db = event.stems, event.gain_db
        case job.SeparationFailed():
            _end(view, job.FAILED, recorded.time)
            view.failed_stage, view.failure = event.stage, event.code
            view.detail = event.detail
        case job.SeparationCancelled():
            _end(view, job.CANCELLED, recorded.time)
            view.detail = event.reason
        case job.SeparationRequeued():
            view.status, view.attempt, view.ended = job.QUEUED, event.attempt, 0
            view.failed_stage = view.failure = view.detail = ""
            view.requeues, view.free = view.requeues + 1, event.free
        case job.SeparationRefunded():
            view.refunded = event.amount
    return []


def _end(view: JobView, status: str, time: int) -> None:
    view.status, view.ended = status, time


def index(view: JobView) -> Index:
    """A user's jobs by time; open jobs by status, for the sweeper."""
    status = view.status if view.status in job.OPEN else None
    return Index(view.user_id, f"{view.requested:015d}#{view.job_id}", status)


JOBS_VIEW = Projection(
    "jobs", 3, JOB, JobView, apply, index,
    changes={2: ("body.requeues", "body.free", "body.refunded"), 3: ("body.price_list",)},
)  # fmt: skip
