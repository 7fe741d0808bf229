"""Jobs: status, stages with their times, stems, failure. One row per job stream."""

from __future__ import annotations

from msgspec import Struct

from domain import job, job_removal
from domain.aggregate import Event, Recorded
from domain.job import JOB
from domain.retention import earliest
from domain.stems import StemFile, StoredStem, as_stored
from projections.projection import Index, Projection, purge_day

UNTIDY = "untidy"
"""The status index of ended jobs whose attempts may have left something in storage."""


class StageView(Struct, frozen=True):
    """One finished stage of one attempt."""

    attempt: int
    stage: str
    milliseconds: int
    tries: int = 1


class JobView(Struct):
    """Times are epoch milliseconds, 0 while they have not come.

    requeues: how often an operator had it done anew. free: it will cost nothing, whatever the
    price. refunded: credits given back. price_list: empty in rows of before it was shown.
    stored: finished stems of an open job. residual_db: see StemStored. bundle: a zip is wanted;
    zip: where it stands. tidied: nothing unnamed is left in storage.
    expires, deleted_until: epoch ms, 0 for never. purged: what it gave is gone.
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
    stems: tuple[StoredStem, ...] = ()
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
    lane: str = "short"
    prompt: str | None = None
    bundle: bool = False
    stored: dict[str, StoredStem] = {}
    residual_db: float | None = None
    zip: StemFile | None = None
    reused_from: str | None = None
    tidied: bool = False
    expires: int = 0
    deleted_until: int = 0
    purged: bool = False

    @property
    def stage(self) -> str:
        """The stage that the running attempt is in; empty unless it runs."""
        if self.status != job.RUNNING:
            return ""
        done = {s.stage for s in self.stages if s.attempt == self.attempt}
        return next((s for s in job.STAGES if s not in done), job.STAGES[-1])


def apply(view: JobView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    view.changed = recorded.time
    match recorded.event:
        # First, because most events of a job are stages.
        case job.StageRecorded() as e:
            view.stages.append(StageView(e.attempt, e.stage, e.milliseconds, e.tries))
        case job.StemStored() as e:
            view.stored = view.stored | {e.stem.name: e.stem}
            view.residual_db = e.residual_db
        case job.MediaTidied():
            view.tidied = True
        case event:
            _turn(view, event, recorded)
    return []


def _turn(view: JobView, event: Event, recorded: Recorded) -> None:
    """A change of status, or of what it cost."""
    match event:
        case job.SeparationRequested():
            view.job_id = recorded.stream.partition("-")[2]
            view.user_id, view.asset_id = event.user_id, event.asset_id
            view.model, view.wanted, view.format = event.model, event.stems, event.format
            view.seconds = event.samples / event.rate
            view.price, view.price_list = event.price, event.price_list
            view.retry_of, view.lane = event.retry_of, event.lane
            view.prompt, view.bundle = event.prompt, event.bundle
            view.status, view.requested = job.QUEUED, recorded.time
        case job.SeparationStarted():
            view.status, view.attempt = job.RUNNING, event.attempt
            view.started = view.started or recorded.time
        case job.SeparationCompleted():
            _end(view, job.COMPLETED, recorded.time)
            view.stems = tuple(as_stored(f, view.stored.get(f.name)) for f in event.stems)
            view.gain_db, view.stored = event.gain_db, {}
            view.zip, view.reused_from = event.bundle, event.reused_from
            view.expires = event.expires
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
            view.stored, view.residual_db, view.tidied = {}, None, False
        case job.SeparationHandedBack():
            view.status = job.QUEUED
        case job.SeparationRefunded():
            view.refunded = event.amount
        case _:
            _keep(view, event)


def _keep(view: JobView, event: Event) -> None:
    """How long what it gave stays."""
    match event:
        case job_removal.SeparationDeleted():
            view.deleted_until = event.until
        case job_removal.SeparationRestored():
            view.deleted_until = 0
        case job_removal.MediaPurged():
            view.purged = True


def _end(view: JobView, status: str, time: int) -> None:
    view.status, view.ended = status, time


def index(view: JobView) -> Index:
    """A user's jobs by time; for the sweeper open jobs by status, and untidy ones; for
    the janitor those whose media go some day.
    """
    status = view.status if view.status in job.OPEN else _untidy(view)
    return Index(view.user_id, f"{view.requested:015d}#{view.job_id}", status)


def _untidy(view: JobView) -> str | None:
    # Without an attempt nobody wrote anything.
    return UNTIDY if view.attempt and not view.tidied else _going(view)


def _going(view: JobView) -> str | None:
    date = earliest(view.expires, view.deleted_until)
    return purge_day(date) if date and not view.purged else None


JOBS_VIEW = Projection(
    "jobs", 5, JOB, JobView, apply, index,
    changes={
        2: ("body.requeues", "body.free", "body.refunded"),
        3: ("body.price_list",),
        4: (
            "status", "body.stages", "body.stems", "body.lane", "body.prompt", "body.bundle",
            "body.stored", "body.residual_db", "body.zip", "body.reused_from", "body.tidied",
        ),
        5: ("body.expires", "body.deleted_until", "body.purged"),
    },
)  # fmt: skip
