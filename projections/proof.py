"""The proof before a flip: a new generation against the live one, row by row at equal versions.

Differences that a newer version of the projection declares (``Projection.changes``) are
intended. Every other one stops the flip until an operator has seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from msgspec import Struct

from domain.errors import Conflict
from projections.catch_up import Reading, catch_up
from projections.checking import folded_upto, lines_of
from projections.folding import Folded, ReadModelStuck
from projections.ports import HEAD, Row
from projections.sweeping import BATCH_STREAMS, Target, in_use
from projections.verify import Difference, compare


class Proof(Struct):
    """What a comparison found. expected: what the new generation says; found: the live one."""

    rows: int = 0
    intended: list[Difference] = []
    unexpected: list[Difference] = []

    def add(self, other: Proof) -> None:
        """Sum up."""
        self.rows += other.rows
        self.intended += other.intended
        self.unexpected += other.unexpected


class Comparison:
    """Of two generations of one projection. intended: names of fields, see Projection.changes."""

    def __init__(
        self, new: Target, live: Target, reading: Reading, intended: frozenset[str]
    ) -> None:
        self._new, self._live = new, live
        self._reading = reading
        self._intended = intended

    def run(
        self,
        segment: int = 0,
        segments: int = 1,
        progress: Callable[[Proof], None] = lambda _: None,
    ) -> Proof:
        """Every stream that has a row in one or the other."""
        total = Proof()
        for ours, other in ((self._new, self._live), (self._live, self._new)):
            for names in self._named(ours, segment, segments):
                if not in_use(self._new, self._reading):
                    return total  # dropped meanwhile; whoever rebuilds will hear of it
                there = self._reading.rows.heads(other.generation, names)
                done = self._batch([n for n in names if ours is self._new or n not in there])
                total.add(done)
                progress(done)
        return total

    def _named(self, target: Target, segment: int, segments: int) -> Iterator[list[str]]:
        names: list[str] = []
        for row in self._reading.rows.scan(target.generation, segment, segments):
            if row.key != HEAD:
                continue
            names.append(row.stream)
            if len(names) == BATCH_STREAMS:
                yield names
                names = []
        if names:
            yield names

    def _batch(self, names: Sequence[str]) -> Proof:
        done = Proof(rows=len(names))
        if not names:
            return done
        new = self._reading.rows.heads(self._new.generation, names)
        live = self._reading.rows.heads(self._live.generation, names)
        for name in names:
            for difference in self._stream(name, new.get(name), live.get(name)):
                kind = done.intended if self._meant(difference) else done.unexpected
                kind.append(difference)
        return done

    def _stream(self, name: str, new: Row | None, live: Row | None) -> list[Difference]:
        if new and live and new.version == live.version:
            return compare(self._rows(self._new, name, new), live, self._lines(self._live, name))
        for target in (self._new, self._live):
            # A message under way or lost; a stuck stream stays where it is.
            with suppress(ReadModelStuck, Conflict):
                catch_up(target.projection, name, self._reading, number=target.number)
        new = self._reading.rows.head(self._new.generation, name)
        live = self._reading.rows.head(self._live.generation, name)
        if live and (new is None or new.version < live.version):
            # Committed between the two looks, and the projector was quicker with the live row.
            with suppress(ReadModelStuck, Conflict):
                catch_up(self._new.projection, name, self._reading, number=self._new.number)
            new = self._reading.rows.head(self._new.generation, name)
        if new is None or live is None:
            wanted = self._rows(self._new, name, new)
            return compare(wanted, live, self._lines(self._live, name))
        # Traffic, or one of them is stuck: what the new code gives at the live row's version.
        commits = list(self._reading.history.read(name))
        at_live = folded_upto(self._new, name, commits, live.version)
        found = compare(at_live, live, self._lines(self._live, name))
        if new.version < live.version and at_live.stuck is None:
            found.append(Difference(name, HEAD, "version", new.version, live.version))
        return found

    def _rows(self, target: Target, name: str, head: Row | None) -> Folded:
        lines = self._lines(target, name)
        return Folded(head, [r for r in lines if head and r.version <= head.version])

    def _lines(self, target: Target, name: str) -> list[Row]:
        if not target.projection.has_lines:
            return []
        return lines_of(self._reading, target.generation, name)

    def _meant(self, difference: Difference) -> bool:
        prefix = "" if difference.key == HEAD else "line."
        return prefix + difference.field in self._intended


def summary(found: Sequence[Difference]) -> dict[str, int]:
    """How many differences there are per field."""
    counts: dict[str, int] = {}
    for difference in found:
        where = difference.field if difference.key == HEAD else f"line.{difference.field}"
        counts[where] = counts.get(where, 0) + 1
    return counts
