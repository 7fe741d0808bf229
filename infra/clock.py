"""Time and chance, as the rest of the code is given them."""

from __future__ import annotations

import os
import time

from domain import ids


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class SystemIds:
    """Ids from the system's randomness."""

    def __init__(self, clock: SystemClock | None = None) -> None:
        self._clock = clock or SystemClock()

    def fresh(self, prefix: str) -> str:
        """A new id, sortable by time."""
        return ids.fresh(prefix, self._clock.now(), os.urandom(10))
