"""A worker's own sign of life: which lanes it serves, where it is busy, what it has in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from commands.ports import Clock
from domain.errors import SplitSoundError
from infra.operations import Pulses, WorkerPulse

LOOK_SECONDS = 1.0


class Pulsing:
    """state: what the worker is at now, whose ``beat`` is filled in here.

    Written down every ``seconds``, and within LOOK_SECONDS of a change.
    """

    def __init__(
        self,
        pulses: Pulses,
        clock: Clock,
        state: Callable[[], WorkerPulse],
        seconds: float,
        log: Any,
    ) -> None:
        self._pulses, self._clock = pulses, clock
        self._state, self._seconds = state, seconds
        self._log = log
        self._told: WorkerPulse | None = None
        self._told_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._state() != self._told or time.monotonic() - self._told_at >= self._seconds:
                await self.note()
            await asyncio.sleep(LOOK_SECONDS)

    async def note(self) -> None:
        """Now. What cannot be written is tried again with the next pulse."""
        state = self._state()
        self._told, self._told_at = state, time.monotonic()
        try:
            pulse = replace(state, beat=self._clock.now())
            await asyncio.to_thread(self._pulses.note_worker, pulse)
        except SplitSoundError as error:
            self._log.warning("pulse missed", error=error.detail)
