"""Work on the segments of a scan in threads, so that Ctrl-C ends it soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from domain.errors import Unavailable

T = TypeVar("T")

# A throttled or absent table: a segment is begun again so often before the work gives up.
SEGMENT_TRIES = 6
TICK_SECONDS = 2.0


class Stopped(Exception):
    """Whoever waited for the work has gone."""


class Crew:
    """So many threads. tick: called every TICK_SECONDS or so by whoever waits for them.

    pause: waits so many seconds before a segment is begun again; unless told, a wait that ends
    when the work stops. stopped: called when it stops early, to end other waits of the work.
    """

    def __init__(
        self,
        workers: int,
        pause: Callable[[float], object] | None = None,
        tick: Callable[[], object] = lambda: None,
        stopped: Callable[[], object] = lambda: None,
    ) -> None:
        self._workers = workers
        self._stop = threading.Event()
        self._pause = pause or self._stop.wait
        self._tick = tick
        self._stopped = stopped

    def run(self, work: Callable[[int], T], numbers: Iterable[int]) -> Iterator[T]:
        """What ``work`` gives for each number, as they end. Raises Unavailable."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="segment")
        try:
            running = {pool.submit(self._tried, work, number) for number in numbers}
            ticked = time.monotonic()
            while running:
                ended, running = wait(running, TICK_SECONDS, FIRST_COMPLETED)
                if time.monotonic() - ticked >= TICK_SECONDS:
                    self._tick()
                    ticked = time.monotonic()
                for future in ended:
                    yield future.result()
        except BaseException:
            self._stop.set()
            self._stopped()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def go_on(self) -> None:
        """For the work to call now and then. Raises Stopped when it should end."""
        if self._stop.is_set():
            raise Stopped

    def _tried(self, work: Callable[[int], T], number: int) -> T:
        for attempt in range(SEGMENT_TRIES):
            try:
                return work(number)
            except Unavailable:
                if attempt == SEGMENT_TRIES - 1 or self._stop.is_set():
                    raise
                self._pause(0.5 * 2**attempt)
        raise AssertionError("unreachable")
