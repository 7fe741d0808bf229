"""Read-model rows and projection pointers in memory, for tests and simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from projections.ports import HEAD, Page, Row


class MemoryRows:
    """Rows (see projections.ports) in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}

    def head(self, generation: str, stream: str) -> Row | None:
        """See Rows."""
        return self.rows.get((generation, stream, HEAD))

    def write(self, head: Row, lines: Sequence[Row], expected: int) -> bool:
        """See Rows."""
        for row in lines:
            self.rows[row.generation, row.stream, row.key] = row
        now = self.head(head.generation, head.stream)
        if (now.version if now else 0) != expected:
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

    def owned(self, generation: str, owner: str, limit: int, cursor: str | None = None) -> Page:
        """See Rows."""
        found = [r for r in self._heads(generation) if r.owner == owner]
        return _page(sorted(found, key=lambda r: r.sort, reverse=True), limit, cursor)

    def with_status(self, generation: str, status: str) -> Iterator[Row]:
        """See Rows."""
        found = [r for r in self._heads(generation) if r.status == status]
        return iter(sorted(found, key=lambda r: r.sort))

    def drop(self, generation: str) -> int:
        """See Rows."""
        keys = [k for k in self.rows if k[0] == generation]
        for key in keys:
            del self.rows[key]
        return len(keys)

    def _heads(self, generation: str) -> list[Row]:
        return [r for (g, _, k), r in self.rows.items() if g == generation and k == HEAD]


def _page(rows: list[Row], limit: int, cursor: str | None) -> Page:
    start = int(cursor or 0)
    after = start + limit
    return Page(rows[start:after], str(after) if after < len(rows) else None)


class MemoryGenerations:
    """Generations (see projections.ports) in a dictionary."""

    def __init__(self) -> None:
        self._live: dict[str, int] = {}

    def live(self, projection: str) -> int:
        """See Generations."""
        return self._live.get(projection, 1)

    def flip(self, projection: str, generation: int) -> None:
        """See Generations."""
        self._live[projection] = generation
