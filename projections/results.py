"""Finished jobs by what they were asked for, so that nobody pays twice for the same stems."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from domain import job
from domain.aggregate import Recorded
from domain.errors import SplitSoundError
from domain.job import JOB
from domain.job_removal import MediaPurged, SeparationDeleted, SeparationRestored
from domain.reuse import fingerprint
from projections.catch_up import Reading
from projections.projection import Index, Projection


class ResultView(Struct):
    """mark: equal for requests that the same stems answer. given: whether they can be."""

    user_id: str = ""
    mark: str = ""
    given: bool = False
    refunded: bool = False
    ended: int = 0


def apply(view: ResultView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    match recorded.event:
        case job.SeparationRequested() as event:
            view.user_id, view.mark = event.user_id, fingerprint(event)
        case job.SeparationCompleted():
            view.given, view.ended = bool(view.mark), recorded.time
        case job.SeparationRefunded():
            view.given, view.refunded = False, True
        case SeparationDeleted() | MediaPurged():
            view.given = False
        case SeparationRestored():
            view.given = bool(view.mark and view.ended) and not view.refunded
    return []


def index(view: ResultView) -> Index:
    """Under user and mark together, the newest last, while its stems can be given again."""
    key = wanted(view.user_id, view.mark) if view.given else None
    return Index(view.user_id, f"{view.ended:015d}", key)


def wanted(user_id: str, mark: str) -> str:
    """The key of results that answer a request."""
    return f"{user_id}#{mark}"


RESULTS_VIEW = Projection(
    "results", 2, JOB, ResultView, apply, index,
    moved_by=frozenset(
        event.event_name()
        for event in (
            job.SeparationRequested, job.SeparationCompleted, job.SeparationRefunded,
            SeparationDeleted, SeparationRestored, MediaPurged,
        )
    ),
    changes={2: ("body.refunded",)},
)  # fmt: skip


class KnownResults:
    """``commands.ports.Results`` from the rows; the command looks at the job itself again."""

    def __init__(self, reading: Callable[[], Reading]) -> None:
        self._reading = reading

    def find(self, user_id: str, fingerprint: str) -> str | None:
        """The newest one, as far as the rows have come."""
        reading = self._reading()
        try:
            live = RESULTS_VIEW.generation(reading.generations.live(RESULTS_VIEW.name))
            rows = list(reading.rows.with_status(live, wanted(user_id, fingerprint)))
        except SplitSoundError:
            return None  # to separate again is right, if dearer; to refuse the job is not
        return rows[-1].stream.partition("-")[2] if rows else None
