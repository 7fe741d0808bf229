"""Round after round over the endpoints that wait, each visited in a thread.

Endpoints that failed last time are visited by threads of their own: were all of them to hang, the
healthy ones would not notice.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

from domain.errors import SplitSoundError
from handlers.deliverer.visiting import Visit
from infra.operations import Waiting

THREADS, THREADS_FOR_ILL = 24, 8
SECONDS = 1.0
"""Between looks, while nothing in this process says that something is due."""

Whose = tuple[str, str]


class Rounds:
    """waiting: who is to be visited; visit: sends what is due there."""

    def __init__(
        self,
        waiting: Callable[[], list[Waiting]],
        visit: Callable[[Waiting], Visit],
        log: Any,
    ) -> None:
        self._waiting, self._visit, self._log = waiting, visit, log
        self._well = ThreadPoolExecutor(THREADS, thread_name_prefix="visit")
        self._ill = ThreadPoolExecutor(THREADS_FOR_ILL, thread_name_prefix="visit-ill")
        self._lock = Lock()
        self._at_work: set[Whose] = set()
        self._failed: set[Whose] = set()
        self._wake = Event()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def run(self, stop: Event) -> None:
        """Until ``stop`` is set and the visits under way are over."""
        while not stop.is_set():
            self._wake.clear()
            try:
                self.look()
            except SplitSoundError as error:
                self._log.warning("cannot look who waits", error=error.detail)
            except Exception:
                self._log.exception("cannot look who waits")
            self._wake.wait(SECONDS)
        for pool in (self._well, self._ill):
            pool.shutdown(wait=True, cancel_futures=True)

    def look(self) -> int:
        """Send somebody to each endpoint that waits and has nobody there; how many."""
        sent = 0
        for waiting in self._waiting():
            whose = waiting.user_id, waiting.endpoint_id
            with self._lock:
                if whose in self._at_work:
                    continue
                self._at_work.add(whose)
                pool = self._ill if whose in self._failed else self._well
            pool.submit(self._go, waiting, whose)
            sent += 1
        return sent

    def _go(self, waiting: Waiting, whose: Whose) -> None:
        visit = Visit(well=False)
        try:
            visit = self._visit(waiting)
        except SplitSoundError as error:
            self._log.warning("visit broken off", endpoint=waiting.endpoint_id, error=error.detail)
        except Exception:
            self._log.exception("visit broken off", endpoint=waiting.endpoint_id)
        with self._lock:
            self._at_work.discard(whose)
            if visit.well:
                self._failed.discard(whose)
            else:
                self._failed.add(whose)
        if visit.more:
            self._wake.set()
