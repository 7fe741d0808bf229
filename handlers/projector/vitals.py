"""The projector's signs of life: how far each projection has come, and that it can be reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from infra.operations import Applied, Pulse, Pulses
from infra.operations.pulses import PROJECTOR

if TYPE_CHECKING:
    from commands.ports import Clock

REPORT_SECONDS = 2.0


class Vitals:
    """Of one process. Written down at most every REPORT_SECONDS, and when a pulse asks."""

    def __init__(
        self,
        process: str,
        pulses: Pulses,
        clock: Clock,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process = process
        self._pulses = pulses
        self._clock = clock
        self._timer = timer
        self._applied: dict[str, Applied] = {}
        self._sent = 0
        self._written = 0.0
        self._news = False
        self._lock = threading.Lock()

    def applied(self, projection: str, committed: int) -> None:
        """A commit of that time (epoch ms) is in the rows now."""
        with self._lock:
            newest = self._applied.get(projection)
            # A ring that was repeated by hand has no time; one that came again is no news.
            if committed and (newest is None or committed > newest.committed):
                self._applied[projection] = Applied(committed, self._clock.now())
                self._news = True

    def answer(self, sent: int) -> None:
        """A pulse sent at that time reached this process. Raises Unavailable."""
        self._sent = max(self._sent, sent)
        self._write()

    def report(self) -> None:
        """At the end of a batch. Raises Unavailable."""
        if self._news and self._timer() - self._written >= REPORT_SECONDS:
            self._write()

    def _write(self) -> None:
        now = self._clock.now()
        with self._lock:
            applied, self._news = dict(self._applied), False
        self._pulses.note(PROJECTOR, Pulse(self._process, self._sent, now, applied))
        self._written = self._timer()
