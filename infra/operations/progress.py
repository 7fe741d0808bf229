"""Live progress of jobs, and for whom the sweeper rang."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from infra.operations.table import OperationalTable

if TYPE_CHECKING:
    from commands.ports import Clock

PROGRESS_SECONDS = 24 * 3600


class Progress(Struct, frozen=True):
    """Where a running attempt is. done: 0..1 of the stage.

    beat: epoch ms by the worker's clock, 0 once the attempt is over. Machines' clocks differ, so
    who wants to know whether the worker lives looks whether the beat changes.
    """

    attempt: int
    worker: str
    stage: str
    done: float
    beat: int


class Seen(Struct, frozen=True):
    """What the sweeper saw of a stream, since when (epoch ms by its own clock), and whether it
    ever saw it change.
    """

    token: str
    since: int
    moved: bool


class DynamoDBOperations:
    """In the operational table."""

    def __init__(self, table: OperationalTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def progress(self, job_id: str) -> Progress | None:
        """The job's live progress, if a worker reported any in the last day."""
        return self._table.get(f"progress#{job_id}", "progress", Progress)

    def progresses(self, job_ids: Sequence[str]) -> dict[str, Progress]:
        """What ``progress`` says of each of those jobs that has a report, in few requests."""
        keys = [(f"progress#{job_id}", "progress") for job_id in job_ids]
        found = self._table.get_many(keys, Progress)
        return {pk.partition("#")[2]: report for (pk, _), report in found.items()}

    def report(self, job_id: str, progress: Progress) -> None:
        """Say how far an attempt is; this is also its sign of life."""
        expires = self._clock.now() // 1000 + PROGRESS_SECONDS
        self._table.put(f"progress#{job_id}", "progress", progress, expires)

    def rung(self, stream: str) -> int | None:
        """When the sweeper last rang for the stream, epoch ms."""
        return self._table.get(f"rung#{stream}", "rung", int)

    def note_rung(self, stream: str) -> None:
        """The sweeper has just rung for the stream."""
        now = self._clock.now()
        self._table.put(f"rung#{stream}", "rung", now, now // 1000 + PROGRESS_SECONDS)

    def seen(self, stream: str) -> Seen | None:
        """What the sweeper saw of the stream when it looked last, in the last day."""
        return self._table.get(f"seen#{stream}", "seen", Seen)

    def note_seen(self, stream: str, seen: Seen) -> None:
        """The sweeper sees something new."""
        expires = self._clock.now() // 1000 + PROGRESS_SECONDS
        self._table.put(f"seen#{stream}", "seen", seen, expires)

    def swept(self, kind: str) -> int:
        """How far the sweeper has come with that kind of sweep; 0 at first."""
        return self._table.get(f"sweep#{kind}", "done", int) or 0

    def note_swept(self, kind: str, mark: int) -> None:
        """The sweeper has come so far: a time or a version, as the kind has it."""
        self._table.put(f"sweep#{kind}", "done", mark)
