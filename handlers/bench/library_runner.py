"""How many events per second the ``eventsourcing`` library's own projection runner takes.

The peer of ``fold_speed``: the same jobs as the library would have them written, its
``ProjectionRunner`` over all of them, and a view as small as a view can be, in memory.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import ApplicationRecorder, Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

from domain.job import STAGES

EVENTS_PER_JOB = len(STAGES) + 3
_SAVED_AT_ONCE = 100
_PAGE = 500  # the runner's own
_PATIENCE_SECONDS = 300.0


class LibraryJob(Aggregate):
    """A job with our job's events and fields."""

    @event("Requested")
    def __init__(self, user_id: str, asset_id: str, model: str, stems: list[str], price: int):
        self.user_id, self.asset_id, self.model = user_id, asset_id, model
        self.stems, self.price, self.status = stems, price, "queued"

    @event("Started")
    def start(self, attempt: int, worker: str) -> None:
        """A worker claimed it."""
        self.attempt, self.worker, self.status = attempt, worker, "running"

    @event("StageRecorded")
    def record(self, attempt: int, stage: str, milliseconds: int) -> None:
        """A stage is done."""
        self.stage = (attempt, stage, milliseconds)

    @event("Completed")
    def complete(self, attempt: int, keys: list[str]) -> None:
        """The stems are there."""
        self.keys, self.status = (attempt, keys), "completed"


class _Jobs(Application[Any]):
    """Takes a recorder that is filled already: the runner makes an application of its own."""

    filled: ClassVar[ApplicationRecorder | None] = None

    def construct_recorder(self) -> ApplicationRecorder:
        return self.filled or super().construct_recorder()


class _Status(POPOTrackingRecorder):
    """A job's status, and how far the events were followed."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Any, str] = {}

    def note(self, job: Any, status: str, tracking: Tracking) -> None:
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self.of[job] = status
            self._insert_tracking(tracking)


class _StatusProjection(Projection[_Status]):
    name = "status"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        status = type(domain_event).__name__
        self.view.note(domain_event.originator_id, status, tracking)


def from_memory(events: int) -> float:
    """Events per second of CPU: the library's runner, stored as plain objects."""
    env = {"PERSISTENCE_MODULE": "eventsourcing.popo"}
    jobs = _Jobs(env)
    _fill(jobs, events // EVENTS_PER_JOB)
    last = jobs.recorder.max_notification_id()
    _Jobs.filled = jobs.recorder
    begun = time.process_time()
    try:
        with ProjectionRunner(
            application_class=_Jobs, projection_class=_StatusProjection, view_class=_Status, env=env
        ) as runner:
            runner.wait(last, _PATIENCE_SECONDS)
            return (last or 0) / (time.process_time() - begun)
    finally:
        _Jobs.filled = None


def from_sqlite(events: int) -> float:
    """The same from an SQLite file, page by page.

    The library's runner refuses SQLite (no subscriptions), so this is its loop without threads.
    """
    with tempfile.TemporaryDirectory() as directory:
        database = str(Path(directory) / "events.sqlite")
        env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": database}
        with _Jobs(env) as jobs:
            _fill(jobs, events // EVENTS_PER_JOB)
            begun = time.process_time()
            count = _followed(jobs, _StatusProjection(_Status()))
            return count / (time.process_time() - begun)


def _followed(jobs: _Jobs, projection: _StatusProjection) -> int:
    last = 0
    while page := jobs.recorder.select_notifications(last + 1, _PAGE):
        for notification in page:
            tracking = Tracking(jobs.name, notification.id)
            projection.process_event(jobs.mapper.to_domain_event(notification), tracking)
        last = page[-1].id
    return last


def _fill(jobs: _Jobs, count: int) -> None:
    made = [_job(n) for n in range(count)]
    for start in range(0, count, _SAVED_AT_ONCE):
        jobs.save(*made[start : start + _SAVED_AT_ONCE])


def _job(number: int) -> LibraryJob:
    made = LibraryJob(f"usr_{number}", f"ast_{number}", "two", ["vocals", "accompaniment"], 10)
    made.start(1, "host:1234:abcdef")
    for stage in STAGES:
        made.record(1, stage, 1234)
    made.complete(1, [f"user_{number}/vocals.flac", f"user_{number}/accompaniment.flac"])
    return made
