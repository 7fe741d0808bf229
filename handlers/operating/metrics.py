"""How read models and work stand, in Prometheus's text format, counted when it is scraped.

A scrape reads the pulses and the measured speeds (3 queries), per read model its catalogue twice
and its parked streams (2 gets, 1 query), 13 times a queue's depth, the open jobs (2 queries), the
progress of each running one (1 get) and what webhooks are due (4 queries). With six read models
that is about 44 calls and one per running job, whatever the history's length. Today's failures
cost a query over all of the day's jobs, so they are counted at most once a minute. A scrape that
fails is an error and leaves nothing behind: silence would look like zeros.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from domain.job import QUEUED, RUNNING
from handlers.operating.lanes import LaneNow
from handlers.operating.overview import Operations, ProjectionHealth, failures, operations
from handlers.operating.sightings import Sightings
from infra.bootstrap import Application
from projections.usage import day_of

FAILURES_SECONDS = 60.0
_PREFIX = "splitsound_"


class Scrapes:
    """Of one process; safe to share between threads."""

    def __init__(
        self, application: Application, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._application = application
        self._timer = timer
        self._sightings = Sightings(application.settings.pulse_seconds)
        self._counted: tuple[float, str, dict[str, int]] | None = None
        self._lock = threading.Lock()

    def text(self) -> bytes:
        """One scrape. Raises Unavailable."""
        begun = self._timer()
        now = operations(self._application, days=0, sightings=self._sightings)
        failed = self._failed(day_of(now.time))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Standing(now, failed, self._timer() - begun))
        return generate_latest(registry)

    def _failed(self, day: str) -> dict[str, int]:
        begun = self._timer()
        with self._lock:
            known = self._counted
        if known and known[1] == day and begun - known[0] < FAILURES_SECONDS:
            return known[2]
        found = failures(self._application, [day])
        with self._lock:
            self._counted = (begun, day, found)
        return found


class _Standing(Collector):
    """One moment, as families of metrics."""

    def __init__(self, now: Operations, failed: Mapping[str, int], seconds: float) -> None:
        self._now, self._failed, self._seconds = now, failed, seconds

    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        yield from _read_models(self._now.health.projections)
        yield from _projector(self._now)
        yield from _queues(self._now)
        yield _one(
            "webhooks_overdue_seconds",
            "For how long the endpoint that has waited longest for a message has; 0 without one.",
            self._now.webhooks_ms / 1000,
        )
        yield from _lanes(self._now)
        yield from _jobs(self._now)
        yield _by(
            "jobs_failed_today",
            "Jobs requested today (UTC) that have failed, by code.",
            "code",
            self._failed,
        )
        yield _by(
            "paused",
            "What operators hold shut: intake, a model or a read model.",
            "subject",
            dict.fromkeys(self._now.paused, 1),
        )
        yield _one("scrape_duration_seconds", "How long counting all this took.", self._seconds)


def _read_models(found: list[ProjectionHealth]) -> Iterable[Metric]:
    """Series are left out where there is nothing to say: no projector has applied anything."""

    def each(name: str, help_: str, value: Callable[[ProjectionHealth], float | None]) -> Metric:
        values = {p.name: value(p) for p in found}
        known = {name: value for name, value in values.items() if value is not None}
        return _by(f"projection_{name}", help_, "projection", known)

    yield each(
        "lag_seconds",
        "From the newest applied commit to its row.",
        lambda p: _seconds(p.lag_ms),
    )
    yield each(
        "newest_commit_age_seconds",
        "Since the newest applied commit was made; it grows while nothing happens.",
        lambda p: _seconds(p.age_ms),
    )
    yield each(
        "parked_streams", "Streams that the live generation cannot follow.", lambda p: p.parked
    )
    yield each("live_generation", "Number of the generation that is read.", lambda p: p.generation)
    yield each(
        "generations",
        "Generations whose rows are stored, the live one included.",
        lambda p: len(p.generations),
    )
    yield each(
        "needs_rebuild",
        "1 where the live generation was built by other code than runs.",
        lambda p: p.needs_rebuild,
    )
    yield each("paused", "1 where operators hold it shut.", lambda p: p.paused is not None)
    yield each(
        "rebuild_done_ratio",
        "How much of a rebuild under way is done, 0 to 1.",
        lambda p: p.rebuild.done if p.rebuild else None,
    )


def _projector(now: Operations) -> Iterable[Metric]:
    projector = now.health.projector
    yield _one("projector_up", "1 while pulses come through its queue.", projector.alive)
    yield _one(
        "projector_silence_seconds",
        "Since the last pulse came through its queue; left out after an hour.",
        _seconds(projector.silent_ms),
    )
    yield _one("projector_processes", "Projectors seen in the last hour.", projector.processes)


def _queues(now: Operations) -> Iterable[Metric]:
    yield _by("queue_messages", "About how many wait or are in work.", "queue", now.queues)
    yield _by(
        "queue_dead_letters",
        "About how many its dead-letter queue holds; the lanes of separations share one.",
        "queue",
        now.dead_letters,
    )


def _lanes(now: Operations) -> Iterable[Metric]:
    """What a fleet is scaled by: waiting jobs and workers of each lane."""

    def each(name: str, help_: str, value: Callable[[LaneNow], float | None]) -> Metric:
        values = {lane: value(standing) for lane, standing in now.lanes.items()}
        known = {lane: value for lane, value in values.items() if value is not None}
        return _by(f"lane_{name}", help_, "lane", known)

    yield each("queued", "Jobs that wait.", lambda lane: lane.queued)
    yield each("running", "Jobs in work.", lambda lane: lane.running)
    yield each("workers", "Workers that live and serve it.", lambda lane: lane.workers)
    yield each("busy_workers", "Of those, at work in it.", lambda lane: lane.busy)
    yield each(
        "free_seconds",
        "Until a worker is free for one more job, as estimated; left out where none lives.",
        lambda lane: lane.free_seconds,
    )


def _jobs(now: Operations) -> Iterable[Metric]:
    counts = {QUEUED: now.queued, RUNNING: now.running}
    waited = now.oldest.waited_ms if now.oldest else 0
    yield _by("jobs_open", "Jobs that have not ended.", "status", counts)
    yield _one(
        "jobs_oldest_wait_seconds",
        "Since the open job that has waited longest was requested; 0 without one.",
        _seconds(waited),
    )
    yield _one("jobs_stuck", "Open jobs that are silent for longer than may be.", len(now.stuck))


def _one(name: str, help_: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, help_)
    if value is not None:
        family.add_metric([], float(value))
    return family


def _by(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
