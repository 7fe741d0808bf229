"""Signs of life: who is there, and how far it has come.

A projector's pulse is not taken at its word: the sweeper sends a doorbell through the queue and
the projector writes down when that reached it. A projector that is dead, stuck or cut off
from its queue can't write it. A worker says itself what it serves and has in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from infra.operations.table import OperationalTable

PROJECTOR, WORKER = "projector", "worker"
_KEEP_SECONDS = 3600


class Applied(Struct, frozen=True):
    """The newest commit that a process applied to a projection. committed, applied: epoch ms."""

    committed: int
    applied: int

    @property
    def lag(self) -> int:
        """Milliseconds from commit to row."""
        return max(0, self.applied - self.committed)


class Pulse(Struct, frozen=True):
    """One process. sent: when the newest sign that reached it was sent; beat: when it arrived."""

    process: str
    sent: int
    beat: int
    applied: dict[str, Applied] = {}


class WorkerPulse(Struct, frozen=True):
    """One worker. beat: epoch ms by its own clock; lanes: that it serves, none once it drains;
    busy: those in which it works on something; warm: the models in its memory.
    """

    process: str
    beat: int
    lanes: tuple[str, ...]
    busy: tuple[str, ...] = ()
    warm: tuple[str, ...] = ()


class Pulses:
    """In the operational table; forgotten after an hour without any."""

    def __init__(self, table: OperationalTable) -> None:
        self._table = table

    def note(self, component: str, pulse: Pulse) -> None:
        """A process lives."""
        expires = pulse.beat // 1000 + _KEEP_SECONDS
        self._table.put(f"pulse#{component}", pulse.process, pulse, expires)

    def of(self, component: str, now: int) -> list[Pulse]:
        """The processes of a component that were alive in the last hour, newest beat first."""
        found: Iterator[Any] = self._table.query(f"pulse#{component}", Pulse)
        alive = [p for _, p in found if p.beat > now - 1000 * _KEEP_SECONDS]
        return sorted(alive, key=lambda p: p.beat, reverse=True)

    def note_worker(self, pulse: WorkerPulse) -> None:
        """A worker lives."""
        expires = pulse.beat // 1000 + _KEEP_SECONDS
        self._table.put(f"pulse#{WORKER}", pulse.process, pulse, expires)

    def workers(self) -> list[WorkerPulse]:
        """The newest word of each worker, dead ones included until they are forgotten."""
        found: Iterator[Any] = self._table.query(f"pulse#{WORKER}", WorkerPulse)
        return [pulse for _, pulse in found]
