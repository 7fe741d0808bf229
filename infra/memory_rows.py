"""Read-model rows in memory, for tests and simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zlib import crc32

from projections.ports import HEAD, Page, Row


class MemoryRows:
    """Rows (see projections.ports) in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}

    def head(self, generation: str, stream: str) -> Row | None:
        """See Rows."""
        return self.rows.get((generation, stream, HEAD))

    def heads(self, generation: str, streams: Sequence[str]) -> dict[str, Row]:
        """See Rows."""
        found = {s: self.rows.get((generation, s, HEAD)) for s in streams}
        return {s: row for s, row in found.items() if row}

    def write(
        self, head: Row, lines: Sequence[Row], expected: int, mends: int | None = None
    ) -> bool:
        """See Rows."""
        for row in lines:
            self.rows[row.generation, row.stream, row.key] = row
        now = self.head(head.generation, head.stream)
        if (now.version if now else 0) != expected:
            return False
        if now and now.mends != (head.mends if mends is None else mends):
            return False
        self.rows[head.generation, head.stream, head.key] = head
        return True

    def lines(self, generation: str, stream: str, limit: int, cursor: str | None = None) -> Page:
        """See Rows."""
        found = [
            r for (g, s, k), r in self.rows.items()
            if (g, s) == (generation, stream) and k != HEAD
        ]  # fmt: skip
        return _page(sorted(found, key=lambda r: r.key, reverse=True), limit, cursor)

    def owned(
        self,
        generation: str,
        owner: str,
        limit: int,
        cursor: str | None = None,
        between: tuple[str, str] | None = None,
    ) -> Page:
        """See Rows."""
        found = [r for r in self._heads(generation) if r.owner == owner]
        if between:
            found = [r for r in found if between[0] <= r.sort <= between[1]]
        return _page(sorted(found, key=lambda r: r.sort, reverse=True), limit, cursor)

    def with_status(self, generation: str, status: str) -> Iterator[Row]:
        """See Rows."""
        found = [r for r in self._heads(generation) if r.status == status]
        return iter(sorted(found, key=lambda r: r.sort))

    def scan(self, generation: str, segment: int = 0, segments: int = 1) -> Iterator[Row]:
        """See Rows."""
        return iter(self._segment(generation, segment, segments))

    def delete(self, rows: Sequence[Row]) -> None:
        """See Rows."""
        for row in rows:
            self.rows.pop((row.generation, row.stream, row.key), None)

    def drop(self, generation: str, segment: int = 0, segments: int = 1) -> int:
        """See Rows."""
        rows = self._segment(generation, segment, segments)
        self.delete(rows)
        return len(rows)

    def _segment(self, generation: str, segment: int, segments: int) -> list[Row]:
        return [
            row
            for (g, stream, _), row in list(self.rows.items())
            if g == generation and crc32(stream.encode()) % segments == segment
        ]

    def _heads(self, generation: str) -> list[Row]:
        return [r for (g, _, k), r in self.rows.items() if g == generation and k == HEAD]


def _page(rows: list[Row], limit: int, cursor: str | None) -> Page:
    start = int(cursor or 0)
    after = start + limit
    return Page(rows[start:after], str(after) if after < len(rows) else None)
