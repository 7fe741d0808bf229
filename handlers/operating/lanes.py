"""Who waits in which lane and who works there: places in the queue, and when jobs should end.

An estimate plays the lane's workers forward: whoever is free first takes the next job. A job takes
its seconds of audio times what a second of audio took here lately (``infra.operations.speeds``),
the time to load the model where no worker of the lane has it in memory, and before all that
``cold_start_seconds`` where no worker of the lane lives. SQS gives messages out in about the order
of their arrival, so a place is about right as well.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from domain import job
from domain.catalog import Model
from domain.controls import of_model
from infra.bootstrap import Application
from infra.operations import Speed, WorkerPulse
from infra.stage import LANE_QUEUES
from projections import JOBS_VIEW
from projections.jobs import JobView

MOST_JOBS = 5000
"""Open jobs of a status that an estimate looks at; those behind them have no place."""


class Expected(Struct, frozen=True):
    """position: 1 for the next queued job; ends: epoch ms. None where nothing can be said."""

    position: int | None = None
    ends: int | None = None


NOTHING = Expected()


class LaneNow(Struct, frozen=True):
    """A lane. workers: that live and serve it; busy: of those, at work in it; queued, running:
    jobs; free_seconds: until a worker is free for one more job, None when none lives.
    """

    workers: int
    busy: int
    queued: int
    running: int
    free_seconds: float | None


class Rates:
    """How long models take: as measured, and until then as such models usually do."""

    def __init__(self, speeds: Mapping[str, Speed], models: Mapping[str, Model]) -> None:
        self._speeds, self._models = speeds, models

    def seconds(self, view: JobView) -> float:
        """For the job, its model in memory."""
        known = self._speeds.get(view.model, Speed()).cost
        return view.seconds * (self._usual(view.model)[0] if known is None else known)

    def load(self, model: str) -> float:
        """Seconds until the model is in memory."""
        known = self._speeds.get(model, Speed()).load
        return self._usual(model)[1] if known is None else known

    def _usual(self, name: str) -> tuple[float, float]:
        """Seconds per second of audio, and to load: signal processing, a provider that is asked
        over the network, a large network on a GPU, a small one on a CPU.
        """
        model = self._models.get(name)
        if model is None:
            return 1.0, 0.0
        if model.approximate:
            return 0.05, 0.5
        if model.hosted:
            return 0.5, 0.0
        return (0.15, 20.0) if model.gpu else (0.2, 3.0)


class Lane:
    """One lane at one moment. queued: in the order of their turns; workers: that live.

    cold: seconds until there is a worker where none lives.
    """

    def __init__(
        self,
        queued: Sequence[JobView],
        running: Sequence[JobView],
        workers: Sequence[WorkerPulse],
        rates: Rates,
        now: int,
        cold: float,
    ) -> None:
        self.queued, self.running, self.workers = queued, running, workers
        self._rates, self._now = rates, now
        self._warm = {model for worker in workers for model in worker.warm}
        # The seconds from now after which each worker is free.
        self._free = [0.0] * len(workers) or [self._cold_start(cold)]
        for view in running:
            self._take(self._left(view))
            self._warm.add(view.model)
        self._turns: dict[str, Expected] = {}
        for place, view in enumerate(queued, 1):
            self._turns[view.job_id] = Expected(place, self._at(self._take(self._whole(view))))
            self._warm.add(view.model)

    @property
    def free_seconds(self) -> float:
        """Until a worker is free for a job behind all that wait."""
        return min(self._free)

    @property
    def work_seconds(self) -> float:
        """Of one worker, to do all that waits and what is left of what runs."""
        waiting = sum(self._rates.seconds(view) for view in self.queued)
        return waiting + sum(self._left(view) for view in self.running)

    def expected(self, view: JobView, progress: float) -> Expected:
        """Of an open job of this lane. progress: 0..1 of the whole, of a running one."""
        if view.status == job.RUNNING:
            seconds = self._rates.seconds(view)
            return Expected(None, self._at(seconds * (1 - progress)))
        if known := self._turns.get(view.job_id):
            return known
        if len(self.queued) >= MOST_JOBS:
            return NOTHING
        # It came after this moment, so it is behind all others, and those that come are behind it.
        turn = Expected(len(self._turns) + 1, self._at(self._take(self._whole(view))))
        return self._turns.setdefault(view.job_id, turn)

    def now(self) -> LaneNow:
        """As operators see it."""
        return LaneNow(
            len(self.workers), len([w for w in self.workers if w.busy]),
            len(self.queued), len(self.running),
            round(self.free_seconds, 1) if self.workers else None,
        )  # fmt: skip

    def _cold_start(self, cold: float) -> float:
        """Seconds until there is a worker: one is on its way since the first job came, unless it
        should be here by now.
        """
        waited = (self._now - self.queued[0].changed) / 1000 if self.queued else 0.0
        return cold - waited if 0 <= waited < cold else cold

    def _take(self, seconds: float) -> float:
        """Give so much work to whoever is free first; when it is done."""
        # In one call, so that requests that ask at the same moment find no worker missing.
        done = self._free[0] + seconds
        heapq.heapreplace(self._free, done)
        return done

    def _whole(self, view: JobView) -> float:
        load = 0.0 if view.model in self._warm else self._rates.load(view.model)
        return load + self._rates.seconds(view)

    def _left(self, view: JobView) -> float:
        # Its live progress would cost a read for each job, and is asked for its own page only.
        seconds = self._rates.seconds(view)
        begun = view.started if view.attempt == 1 else view.changed
        elapsed = max(0.0, (self._now - begun) / 1000)
        return max(seconds - elapsed, seconds / 10)

    def _at(self, seconds: float) -> int:
        return self._now + round(1000 * seconds)


class Lanes:
    """All lanes at one moment."""

    def __init__(self, lanes: Mapping[str, Lane], paused: frozenset[str]) -> None:
        self.lanes, self._paused = lanes, paused

    @property
    def jobs(self) -> list[JobView]:
        """All open jobs."""
        return [view for lane in self.lanes.values() for view in (*lane.queued, *lane.running)]

    def now(self) -> dict[str, LaneNow]:
        """As operators see them."""
        return {name: lane.now() for name, lane in self.lanes.items()}

    def expected(self, view: JobView, progress: float) -> Expected:
        """What can be said of the job. progress: 0..1 of the whole, of a running one."""
        lane = self.lanes.get(view.lane)
        if lane is None or view.status not in job.OPEN:
            return NOTHING
        found = lane.expected(view, progress)
        if view.status == job.QUEUED and of_model(view.model) in self._paused:
            return Expected(found.position, None)
        return found


def take(
    application: Application, workers: Iterable[WorkerPulse], most: int | None = None
) -> Lanes:
    """As they stand: two queries of open jobs, one of speeds. workers: that live; most: jobs of a
    status that are looked at. Raises Unavailable.
    """
    queued = sorted(_open(application, job.QUEUED, most), key=lambda v: (v.changed, v.job_id))
    running = _open(application, job.RUNNING, most)
    rates = Rates(application.speeds.all(), application.catalog.models)
    alive, now = list(workers), application.clock.now()
    lanes = {
        name: Lane(
            [view for view in queued if view.lane == name],
            [view for view in running if view.lane == name],
            [_in_lane(worker, name) for worker in alive if name in worker.lanes],
            rates,
            now,
            float(application.settings.cold_start_seconds),
        )
        for name in LANE_QUEUES
    }
    return Lanes(lanes, frozenset(application.switchboard.state().paused))


def _in_lane(worker: WorkerPulse, lane: str) -> WorkerPulse:
    busy = (lane,) if lane in worker.busy else ()
    return WorkerPulse(worker.process, worker.beat, (lane,), busy, worker.warm)


def _open(application: Application, status: str, most: int | None) -> list[JobView]:
    reading = application.reading
    generation = JOBS_VIEW.generation(reading.generations.live(JOBS_VIEW.name))
    rows = islice(reading.rows.with_status(generation, status), most)
    return [JOBS_VIEW.read(row) for row in rows]
