"""Usage: what each job contributed to its user's day. One row per job stream.

Days are summed when they are read, from one contribution per job: a sum kept in one row would
be written by two streams, and a rebuild or a repeated message could count a job twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from domain import job
from domain.aggregate import Recorded
from domain.job import JOB
from projections.projection import Index, Projection


class UsageView(Struct):
    """day: of the request, UTC, as 2026-11-23. seconds: of audio; price: credits reserved.

    status: queued until the job has ended, whether or not a worker has it. reused: stems that
    another job had made were given again; nothing was processed.
    """

    job_id: str = ""
    user_id: str = ""
    day: str = ""
    model: str = ""
    seconds: float = 0.0
    price: int = 0
    status: str = job.ABSENT
    failure: str = ""
    free: bool = False
    refunded: int = 0
    reused: bool = False


class Day(Struct):
    """One user's day. reused: completed jobs whose stems were given again. audio_seconds: of the
    other completed ones; credits: of completed jobs; failures: jobs by code.
    """

    day: str
    jobs: int = 0
    completed: int = 0
    reused: int = 0
    failed: int = 0
    cancelled: int = 0
    open: int = 0
    audio_seconds: float = 0.0
    credits: int = 0
    failures: dict[str, int] = {}


def apply(view: UsageView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    event = recorded.event
    match event:
        case job.SeparationRequested():
            view.job_id = recorded.stream.partition("-")[2]
            view.user_id, view.model, view.price = event.user_id, event.model, event.price
            view.day, view.seconds = day_of(recorded.time), event.samples / event.rate
            view.status = job.QUEUED
        case job.SeparationCompleted():
            view.status, view.reused = job.COMPLETED, event.reused_from is not None
        case job.SeparationFailed():
            view.status, view.failure = job.FAILED, event.code
        case job.SeparationCancelled():
            view.status = job.CANCELLED
        case job.SeparationRequeued():
            view.status, view.failure = job.QUEUED, ""
            view.free = view.free or event.free
        case job.SeparationRefunded():
            view.refunded = event.amount
    return []


def index(view: UsageView) -> Index:
    """A user's jobs by day; and all users' jobs of a day."""
    return Index(view.user_id, f"{view.day}#{view.job_id}", view.day)


def day_of(time: int) -> str:
    """The day (UTC) of an epoch time in milliseconds."""
    return datetime.fromtimestamp(time / 1000, UTC).date().isoformat()


def between(first: str, last: str) -> tuple[str, str]:
    """The range of ``sort`` that covers the days from first to last."""
    return f"{first}#", f"{last}#~"


def by_day(views: Iterable[UsageView]) -> list[Day]:
    """One user's contributions, summed; the newest day first."""
    days: dict[str, Day] = {}
    for view in views:
        add(days.setdefault(view.day, Day(view.day)), view)
    return [days[day] for day in sorted(days, reverse=True)]


def by_user(views: Iterable[UsageView]) -> dict[str, Day]:
    """One day's contributions, summed per user."""
    users: dict[str, Day] = {}
    for view in views:
        add(users.setdefault(view.user_id, Day(view.day)), view)
    return users


def add(day: Day, view: UsageView) -> None:
    """Count one job."""
    day.jobs += 1
    day.open += view.status in job.OPEN
    day.cancelled += view.status == job.CANCELLED
    if view.status == job.COMPLETED:
        day.completed += 1
        day.reused += view.reused
        day.audio_seconds += 0.0 if view.reused else view.seconds
        day.credits += 0 if view.free else view.price - view.refunded
    if view.status == job.FAILED:
        day.failed += 1
        day.failures[view.failure] = day.failures.get(view.failure, 0) + 1


# Claims and stages, most of what a job is made of, move nothing here.
MOVED_BY = (
    job.SeparationRequested, job.SeparationCompleted, job.SeparationFailed,
    job.SeparationCancelled, job.SeparationRequeued, job.SeparationRefunded,
)  # fmt: skip
USAGE_VIEW = Projection(
    "usage", 2, JOB, UsageView, apply, index,
    moved_by=frozenset(event.event_name() for event in MOVED_BY),
    changes={2: ("body.reused",)},
)  # fmt: skip
