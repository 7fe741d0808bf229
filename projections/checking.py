"""Check a generation against the events, and repair what differs.

Each row is compared with a fold of its stream up to the very version that the row claims, so
traffic does not look like a difference. What a row lacks of its stream's tip is one, once the
missing commit is older than a projector needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from domain.commit import Commit
from projections.catch_up import Reading, anew
from projections.folding import Folded, ReadModelStuck, fold, piece
from projections.ports import HEAD, Row
from projections.sweeping import Counter, Stream, Target, batches, streams
from projections.verify import Difference, compare

LAG_MS = 2000
_PAGE = 500


class Checked(Struct):
    """What a check found. repaired: streams whose rows were folded anew, and say it now.

    scanned: commits, those of other categories included.
    """

    scanned: int = 0
    streams: int = 0
    events: int = 0
    differences: list[Difference] = []
    repaired: int = 0

    def add(self, other: Checked) -> None:
        """Sum up."""
        self.scanned += other.scanned
        self.streams += other.streams
        self.events += other.events
        self.differences += other.differences
        self.repaired += other.repaired


def lines_of(reading: Reading, generation: str, stream: str) -> list[Row]:
    """All lines of a stream."""
    rows: list[Row] = []
    cursor: str | None = None
    while True:
        page = reading.rows.lines(generation, stream, _PAGE, cursor)
        rows += page.rows
        cursor = page.cursor
        if cursor is None:
            return rows


def folded_upto(target: Target, stream: str, commits: Sequence[Commit], version: int) -> Folded:
    """The rows that the stream's events up to ``version`` give."""
    pieces = [piece(c) for c in commits if c.last <= version]
    return fold(target.projection, target.generation, stream, pieces)


class Check:
    """One check of one generation.

    now: epoch ms; repair: fold anew what differs; seen: hears of each stream as it was scanned.
    """

    def __init__(
        self,
        target: Target,
        reading: Reading,
        now: Callable[[], int],
        *,
        repair: bool = False,
        seen: Callable[[Stream], object] = lambda _: None,
    ) -> None:
        self._target = target
        self._reading = reading
        self._now = now
        self._repair = repair
        self._hears = seen
        self._seen: set[str] = set()

    def streams(
        self,
        segment: int = 0,
        segments: int = 1,
        progress: Callable[[Checked], None] = lambda _: None,
    ) -> Checked:
        """Every stream of that segment of the event store against its rows."""
        total = Checked()
        covers = self._target.projection.covers
        counter = Counter()
        for batch in batches(streams(self._reading.history, covers, segment, segments, counter)):
            done = self._batch(batch)
            done.scanned = counter.taken()
            total.add(done)
            progress(done)
        rest = Checked(scanned=counter.taken())
        total.add(rest)
        progress(rest)
        return total

    def rows(self, segment: int = 0, segments: int = 1) -> Checked:
        """Rows that no event explains; call it after ``streams``."""
        total = Checked()
        scanned = self._reading.rows.scan(self._target.generation, segment, segments)
        for row in scanned:
            if self._unexplained(row):
                self._remove(total, row)
        return total

    def _unexplained(self, row: Row) -> bool:
        if row.key != HEAD and not self._target.projection.has_lines:
            return True
        if row.stream in self._seen:
            return False
        return next(iter(self._reading.history.read(row.stream)), None) is None

    def _remove(self, total: Checked, row: Row) -> None:
        total.differences.append(
            Difference(row.stream, row.key, "row", None, f"version {row.version}")
        )
        if self._repair:
            self._reading.rows.delete([row])
            total.repaired += 1

    def _batch(self, batch: Sequence[Stream]) -> Checked:
        target, reading = self._target, self._reading
        heads = reading.rows.heads(target.generation, [s.name for s in batch])
        done = Checked(
            streams=len(batch), events=sum(c.last - c.first + 1 for s in batch for c in s.commits)
        )
        for stream in batch:
            self._seen.add(stream.name)
            self._hears(stream)
            found = self._compared(stream.name, stream.commits, heads.get(stream.name))
            if not found:
                continue
            # Once more with everything read at this moment: the scan may have been late.
            found = self._again(stream.name)
            done.differences += found
            if found and self._repair:
                done.repaired += self._repaired(stream.name)
        return done

    def _again(self, stream: str) -> list[Difference]:
        # Rows first: what is committed in between shows as a lag, never as a row from nowhere.
        head = self._reading.rows.head(self._target.generation, stream)
        return self._compared(stream, list(self._reading.history.read(stream)), head)

    def _compared(
        self, stream: str, commits: Sequence[Commit], head: Row | None
    ) -> list[Difference]:
        target = self._target
        version = head.version if head else 0
        old = self._now() - LAG_MS
        moves = target.projection.moves
        late = [c for c in commits if c.last > version and c.t <= old and moves(c.types)]
        if head is None:
            return [_missing(stream, late[-1], None)] if late else []
        lines = (
            lines_of(self._reading, target.generation, stream)
            if target.projection.has_lines
            else []
        )
        found = compare(folded_upto(target, stream, commits, version), head, lines)
        if late:
            found.append(_missing(stream, late[-1], version))
        return found

    def _repaired(self, stream: str) -> int:
        target, reading = self._target, self._reading
        with suppress(ReadModelStuck):  # as far as it goes
            anew(target.projection, stream, reading, target.number)
        if target.projection.has_lines:
            tip = reading.rows.head(target.generation, stream)
            commits = list(reading.history.read(stream))
            wanted = {r.key for r in folded_upto(target, stream, commits, 1 << 62).lines}
            stray = [
                row
                for row in lines_of(reading, target.generation, stream)
                if row.key not in wanted and tip and row.version <= tip.version
            ]
            reading.rows.delete(stray)
        return int(not self._again(stream))


def _missing(stream: str, commit: Commit, found: int | None) -> Difference:
    return Difference(stream, HEAD, "version", commit.last, found)


def pick(segments: int, share: float, choose: Callable[[Any, int], list[int]]) -> Iterator[int]:
    """A sample of the segments of a scan. share: 0..1; choose: random.sample."""
    yield from sorted(choose(range(segments), max(1, round(segments * share))))
