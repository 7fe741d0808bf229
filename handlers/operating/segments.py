"""Work on the segments of a scan in threads, so that Ctrl-C ends it soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from domain.errors import Unavailable
from projections.rebuild import SEGMENT_TRIES

T = TypeVar("T")


class Stopped(Exception):
    """Whoever waited for the work has gone."""


class Crew:
    """So many threads. A segment whose tables do not answer is begun again a few times."""

    def __init__(self, workers: int, pause: Callable[[float], object] = time.sleep) -> None:
        self._workers = workers
        self._pause = pause
        self._stop = threading.Event()

    def run(self, work: Callable[[int], T], numbers: Iterable[int]) -> Iterator[T]:
        """What ``work`` gives for each number, as they end. Raises Unavailable."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="segment")
        try:
            futures = [pool.submit(self._tried, work, number) for number in numbers]
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            self._stop.set()
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
