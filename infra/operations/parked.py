"""Parked streams: those whose next commit a generation's code rejects.

A parked stream waits with its later commits, in order, because its head stays where it is. Its
doorbells are noted and acknowledged, so nothing else waits with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from traceback import format_exception
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from infra.operations.table import OperationalTable
from projections.folding import ReadModelStuck

if TYPE_CHECKING:
    from projections.sweeping import Stuck

CACHE_SECONDS = 2.0


class Parked(Struct, frozen=True):
    """A stream that waits. version: of the rejected commit; last: the newest that rang since.

    since, changed: epoch ms; tries: how often the commit was rejected.
    """

    projection: str
    number: int
    stream: str
    version: int
    last: int
    error: str
    traceback: str
    since: int
    changed: int
    tries: int = 1


def describe(error: ReadModelStuck, number: int, last: int, now: int) -> Parked:
    """What to write down about a stream that is stuck. last: the newest version that rang."""
    cause = error.__cause__ or error
    return Parked(
        error.projection,
        number,
        error.stream,
        error.version,
        max(last, error.version),
        f"{type(cause).__name__}: {cause}",
        "".join(format_exception(cause)),
        now,
        now,
    )


class ParkedStreams:
    """In the operational table. Which streams wait is remembered for a moment."""

    def __init__(
        self,
        table: OperationalTable,
        cache_seconds: float = CACHE_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._seconds = cache_seconds
        self._timer = timer
        self._known: dict[tuple[str, int], tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def list(self, projection: str, number: int | None = None) -> Iterator[Parked]:
        """The parked streams of a projection, of one generation or of all."""
        begins = "" if number is None else _prefix(number)
        for _, parked in self._table.query(f"parked#{projection}", Parked, begins):
            yield parked

    def find(self, projection: str, number: int, stream: str) -> Parked | None:
        """One of them."""
        return self._table.get(f"parked#{projection}", _place(number, stream), Parked)

    def park(self, parked: Parked) -> Parked:
        """Park a stream, or say anew why it is parked; what is known of it now."""
        earlier = self.find(parked.projection, parked.number, parked.stream)
        if earlier:
            parked = replace(
                parked,
                since=earlier.since,
                last=max(earlier.last, parked.last),
                tries=earlier.tries + 1 if earlier.version == parked.version else 1,
            )
        self._table.put(*_where(parked), parked)
        self._forget(parked)
        return parked

    def park_stuck(self, stuck: Stuck, now: int) -> None:
        """Park a stream that a sweep or a rebuild found."""
        error = stuck.error
        self.park(describe(error, stuck.target.number, error.version, now))

    def waiting(self, projection: str, number: int, stream: str) -> Parked | None:
        """What is known of the stream, if it is parked; mostly answered without a read."""
        if stream not in self._streams(projection, number):
            return None
        return self.find(projection, number, stream)

    def note(self, parked: Parked, last: int, now: int) -> bool:
        """A newer commit rang, up to ``last``. False when the stream was released meanwhile."""
        if last <= parked.last:
            return True
        return self._table.overwrite(*_where(parked), replace(parked, last=last, changed=now))

    def release(self, parked: Parked) -> bool:
        """It follows its events again. False when a newer commit was noted meanwhile."""
        released = self._table.delete_if(*_where(parked), parked)
        self._forget(parked)
        return released

    def _streams(self, projection: str, number: int) -> frozenset[str]:
        begun = self._timer()
        with self._lock:
            known = self._known.get((projection, number))
        if known and begun - known[0] < self._seconds:
            return known[1]
        found = frozenset(p.stream for p in self.list(projection, number))
        with self._lock:
            self._known[projection, number] = (begun, found)
        return found

    def _forget(self, parked: Parked) -> None:
        with self._lock:
            self._known.pop((parked.projection, parked.number), None)


def _where(parked: Parked) -> tuple[str, str]:
    return f"parked#{parked.projection}", _place(parked.number, parked.stream)


def _prefix(number: int) -> str:
    return f"{number:06d}#"


def _place(number: int, stream: str) -> str:
    return _prefix(number) + stream
