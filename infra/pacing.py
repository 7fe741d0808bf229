"""Count the request units that long work spends, and hold it to a rate.

A rebuild reads and writes as fast as it may, and the tables serve users meanwhile. Units are
computed from item sizes by AWS's rules, as in metering.py; whoever is ahead of the rate waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from infra.metering import Units, started
from infra.rows import DynamoDBRows
from projections.ports import Page, Row

_READ_BYTES, _WRITE_BYTES = 4096, 1024
_SCAN_BYTES = 100 * 1024
Between = tuple[str, str] | None


class Pace:
    """reads, writes: units per second, 0 for as many as there are. Safe to share by threads.

    pause: waits so many seconds; unless told, a wait that ``release`` ends.
    """

    def __init__(
        self,
        reads: float = 0,
        writes: float = 0,
        timer: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.spent = Units()
        self._rates = Units(reads, writes)
        self._released = threading.Event()
        self._timer, self._pause = timer, pause or self._released.wait
        self._lock = threading.Lock()
        self._due = Units(timer(), timer())  # when what was spent so far may have been spent

    def spend(self, reads: float = 0, writes: float = 0) -> None:
        """So much was spent; returns once the rate of what was spent allows more."""
        with self._lock:
            now = self._timer()
            self.spent.reads += reads
            self.spent.writes += writes
            until = now
            # Each waits for its own kind: reads that waited for writers would leave units unused.
            if reads and self._rates.reads:
                self._due.reads = max(self._due.reads, now) + reads / self._rates.reads
                until = self._due.reads
            if writes and self._rates.writes:
                self._due.writes = max(self._due.writes, now) + writes / self._rates.writes
                until = max(until, self._due.writes)
        if until > now and not self._released.is_set():
            self._pause(until - now)

    def release(self) -> None:
        """Nobody waits any more, now or later; what is spent is still counted."""
        self._released.set()


class PacedRows:
    """Rows (see projections.ports) whose every call is paid for at a pace."""

    def __init__(self, rows: DynamoDBRows, pace: Pace) -> None:
        self._rows = rows
        self._pace = pace

    def head(self, generation: str, stream: str) -> Row | None:
        """See Rows."""
        found = self._rows.head(generation, stream)
        self._read([found] if found else [], least=1)
        return found

    def heads(self, generation: str, streams: Sequence[str]) -> dict[str, Row]:
        """See Rows. Each item is rounded up by itself, and one that is absent costs a unit."""
        found = self._rows.heads(generation, streams)
        units = sum(started(self._rows.size(row), _READ_BYTES) for row in found.values())
        self._pace.spend(reads=units + len(streams) - len(found))
        return found

    def write(
        self, head: Row, lines: Sequence[Row], expected: int, mends: int | None = None
    ) -> bool:
        """See Rows. A write whose condition failed is paid for too."""
        written = self._rows.write(head, lines, expected, mends)
        self._pace.spend(writes=sum(map(self.write_units, [head, *lines])))
        return written

    def lines(self, generation: str, stream: str, limit: int, cursor: str | None = None) -> Page:
        """See Rows."""
        page = self._rows.lines(generation, stream, limit, cursor)
        self._read(page.rows, least=1)
        return page

    def owned(
        self,
        generation: str,
        owner: str,
        limit: int,
        cursor: str | None = None,
        between: Between = None,
    ) -> Page:
        """See Rows."""
        page = self._rows.owned(generation, owner, limit, cursor, between)
        self._read(page.rows, least=1, share=0.5)
        return page

    def with_status(self, generation: str, status: str) -> Iterator[Row]:
        """See Rows."""
        for row in self._rows.with_status(generation, status):
            self._read([row], share=0.5)
            yield row

    def scan(self, generation: str, segment: int = 0, segments: int = 1) -> Iterator[Row]:
        """See Rows. What it passes over of other generations is paid for and not seen here."""
        size = 0
        for row in self._rows.scan(generation, segment, segments):
            size += self._rows.size(row)
            if size > _SCAN_BYTES:
                self._pace.spend(reads=0.5 * started(size, _READ_BYTES))
                size = 0
            yield row
        self._pace.spend(reads=0.5 * started(size, _READ_BYTES))

    def delete(self, rows: Sequence[Row]) -> None:
        """See Rows."""
        self._rows.delete(rows)
        self._pace.spend(writes=sum(map(self.write_units, rows)))

    def drop(self, generation: str, segment: int = 0, segments: int = 1) -> int:
        """See Rows. At least a unit for each row."""
        count = self._rows.drop(generation, segment, segments)
        self._pace.spend(writes=count)
        return count

    def write_units(self, row: Row) -> int:
        """A put: the item, and once more for each index that it stands in."""
        indexes = bool(row.sort and row.owner) + bool(row.sort and row.status)
        return started(self._rows.size(row), _WRITE_BYTES) * (1 + indexes)

    def _read(self, rows: Sequence[Row], least: float = 0, share: float = 1) -> None:
        units = started(sum(map(self._rows.size, rows)), _READ_BYTES) if rows else least
        self._pace.spend(reads=share * units)
