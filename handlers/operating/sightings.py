"""Which workers live, by watching whether their pulses change: their clocks are not ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from infra.operations import WorkerPulse

# Three pulses may go astray.
_MISSED_PULSES, _LEAST_SECONDS = 3, 5.0


class Sightings:
    """Of one process. A worker seen for the first time is believed by its clock, until its next
    pulse, or the lack of one, tells. pulse_seconds: how often workers pulse.
    """

    def __init__(self, pulse_seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._patience = max(_LEAST_SECONDS, _MISSED_PULSES * pulse_seconds)
        self._timer = timer
        self._seen: dict[str, tuple[int, float]] = {}

    def alive(self, pulses: Iterable[WorkerPulse], now: int) -> list[WorkerPulse]:
        """Those of the workers that live and take work. now: epoch ms by our clock."""
        moment, seen = self._timer(), {}
        for pulse in pulses:
            beat, since = self._seen.get(pulse.process, (None, 0.0))
            if beat is None:
                fresh = abs(now - pulse.beat) < 1000 * self._patience
                since = moment if fresh else moment - self._patience
            elif beat != pulse.beat:
                since = moment
            seen[pulse.process] = (pulse, since)
        self._seen = {process: (pulse.beat, since) for process, (pulse, since) in seen.items()}
        return [
            pulse
            for pulse, since in seen.values()
            if pulse.lanes and moment - since < self._patience
        ]
