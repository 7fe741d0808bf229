"""When jobs should end, from one look at all lanes for all requests of two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from domain.errors import SplitSoundError
from domain.job import OPEN
from handlers.api import log
from handlers.operating import lanes
from handlers.operating.lanes import MOST_JOBS, NOTHING, Expected, Lanes
from handlers.operating.sightings import Sightings
from infra.bootstrap import Application
from projections.jobs import JobView

KEEP_SECONDS = 2.0
ROUND_MS = 5000
"""Estimates are told in such steps, so that a poll finds nothing new while nothing is."""


class Waiting:
    """Of one process; safe to share between threads."""

    def __init__(
        self, application: Application, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._application = application
        self._timer = timer
        self._sightings = Sightings(application.settings.pulse_seconds)
        self._lanes: Lanes | None = None
        self._taken = 0.0
        self._lock = threading.Lock()

    def expected(self, view: JobView, progress: float = 0.0) -> Expected:
        """Place and end of the job, the end rounded up to ROUND_MS; nothing of an ended job, or
        while the lanes cannot be read. progress: 0..1 of the whole, of a running one.
        """
        if view.status not in OPEN:
            return NOTHING
        found = self._current()
        if found is None:
            return NOTHING
        said = found.expected(view, progress)
        return Expected(said.position, _rounded(said.ends))

    def _current(self) -> Lanes | None:
        # Whoever comes while another request looks is told what was seen last: a table that is
        # slow to answer must not hold all of them.
        if self._lock.acquire(blocking=not self._taken):
            try:
                now = self._timer()
                if now - self._taken >= KEEP_SECONDS or not self._taken:
                    self._lanes, self._taken = self._look(), now
            finally:
                self._lock.release()
        return self._lanes

    def _look(self) -> Lanes | None:
        application = self._application
        try:
            pulses = application.pulses.workers()
            alive = self._sightings.alive(pulses, application.clock.now())
            return lanes.take(application, alive, MOST_JOBS)
        except SplitSoundError as error:
            # A job is shown all the same.
            log.warning("lanes not read", error=error.detail)
            return None


def _rounded(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else -(-milliseconds // ROUND_MS) * ROUND_MS
