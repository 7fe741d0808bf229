"""Time and chance, as the rest of the code is given them."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from domain import ids


def stamp(milliseconds: int) -> str:
    """Epoch milliseconds as RFC 3339, ``2026-11-23T16:12:28.123Z``."""
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


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
