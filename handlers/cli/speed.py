"""How fast a long work goes, and when it will be done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from handlers.cli.tables import GLUE

WINDOW_SECONDS = 20.0
_LEAST_SECONDS = 0.5


class Speed:
    """Over the last WINDOW_SECONDS. What was done before the first call counts for nothing.

    So that work that goes on after an interruption does not seem faster than it is.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._marks: deque[tuple[float, float]] = deque()

    def to(self, done: float) -> None:
        """So much is done by now."""
        now = self._timer()
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_SECONDS:
            self._marks.popleft()

    @property
    def rate(self) -> float | None:
        """Per second; None while it is too early to say."""
        if not self._marks:
            return None
        (begun, before), (_, done) = self._marks[0], self._marks[-1]
        # Until this moment: what stands still gets slower.
        took = self._timer() - begun
        return (done - before) / took if took >= _LEAST_SECONDS and done > before else None

    def left(self, total: float) -> float | None:
        """Seconds until ``total`` is done; None while nobody can say."""
        rate = self.rate
        return (total - self._marks[-1][1]) / rate if rate else None


def told(done: float, total: float, unit: str, speed: Speed) -> str:
    """``1,200 of 50,000 commits, 310/s, 2:37 min left``."""
    from handlers.cli.terminal import duration

    text = f"{done:,.0f}{GLUE}of{GLUE}{total:,.0f}{GLUE}{unit}"
    rate, left = speed.rate, speed.left(total)
    if rate is not None:
        text += f", {rate:,.0f}/s" if rate >= 10 else f", {rate:.1f}/s"
    if left is not None and done < total:
        text += f", {duration(left) if left >= 1 else '1' + GLUE + 's'}{GLUE}left"
    return text
