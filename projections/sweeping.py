"""Sweep: bring every stream's rows to its tip, by one parallel scan of the event store.

The live path may lose a message for good; a sweep finds what it left behind and heals it. It
is also how a new generation is filled: what has no row yet is folded in memory from the scanned
commits and written once. All projections share one scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct

from domain.commit import Commit
from domain.errors import Conflict, Unavailable
from projections.catch_up import Reading, catch_up
from projections.folding import Folded, ReadModelStuck, fold, piece
from projections.generations import DROPPING
from projections.ports import History, Row
from projections.projection import Projection

# A batch get takes a hundred keys.
BATCH_STREAMS = 100
BATCH_BYTES = 4 * 1024 * 1024
# After so many the table is taken to be away.
MOST_FAILED = 20


class Target(Struct, frozen=True):
    """A generation to fill. empty: so new that a look for heads would hardly find any."""

    projection: Projection[Any]
    number: int
    empty: bool = False

    @property
    def generation(self) -> str:
        """Its name in rows."""
        return self.projection.generation(self.number)


class Stuck(Struct, frozen=True):
    """A stream that a generation cannot follow."""

    target: Target
    stream: str
    error: ReadModelStuck


class Swept(Struct):
    """What a sweep did. written: streams without a row; healed: streams with an old one.

    failed: streams whose rows the table did not take, each with why.
    scanned: commits, those of other categories included.
    """

    scanned: int = 0
    streams: int = 0
    events: int = 0
    written: int = 0
    healed: int = 0
    stuck: list[Stuck] = []
    failed: list[str] = []

    def add(self, other: Swept) -> None:
        """Sum up."""
        self.scanned += other.scanned
        self.streams += other.streams
        self.events += other.events
        self.written += other.written
        self.healed += other.healed
        self.stuck += other.stuck
        self.failed += other.failed


class Stream(Struct, frozen=True):
    """A stream as a scan found it, whole or up to where the scan was."""

    name: str
    commits: list[Commit]

    def tip(self, projection: Projection[Any]) -> int:
        """The version after the last commit that moves the projection."""
        moving = (c.last for c in reversed(self.commits) if projection.moves(c.types))
        return next(moving, 0)


class Counter:
    """Counts what passes by."""

    def __init__(self) -> None:
        self._count = 0

    def counted(self, commits: Iterable[Commit]) -> Iterator[Commit]:
        """The same commits."""
        for commit in commits:
            self._count += 1
            yield commit

    def taken(self) -> int:
        """How many since the last call."""
        count, self._count = self._count, 0
        return count


def streams(
    history: History,
    covers: Callable[[str], bool],
    segment: int = 0,
    segments: int = 1,
    counter: Counter | None = None,
) -> Iterator[Stream]:
    """The streams of one segment that somebody covers."""
    commits: Iterable[Commit] = history.scan(segment, segments)
    if counter:
        commits = counter.counted(commits)
    for name, own in groupby(commits, key=lambda c: c.stream):
        if covers(name):
            yield Stream(name, list(own))


def batches(found: Iterable[Stream]) -> Iterator[list[Stream]]:
    """At most BATCH_STREAMS each, and hardly more than BATCH_BYTES of events."""
    batch: list[Stream] = []
    size = 0
    for stream in found:
        batch.append(stream)
        size += sum(len(c.events) for c in stream.commits)
        if len(batch) == BATCH_STREAMS or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def sweep(
    targets: Sequence[Target],
    reading: Reading,
    segment: int = 0,
    segments: int = 1,
    progress: Callable[[Swept], None] = lambda _: None,
) -> Swept:
    """Bring all rows of the targets to their streams' tips. progress: hears of each batch.

    A stream that is stuck is told of and passed by. One whose rows the table does not take is
    passed by too, and makes the sweep fail at its end. Raises Unavailable.
    """
    total = Swept()

    def covers(stream: str) -> bool:
        return any(t.projection.covers(stream) for t in targets)

    scanned = Counter()
    for batch in batches(streams(reading.history, covers, segment, segments, scanned)):
        done = Swept(
            scanned=scanned.taken(),
            streams=len(batch),
            events=sum(c.last - c.first + 1 for s in batch for c in s.commits),
        )
        for target in targets:
            # What was dropped meanwhile must not come to life again.
            if in_use(target, reading):
                done.add(_level(target, batch, reading))
        total.add(done)
        progress(done)
        if len(total.failed) > MOST_FAILED:
            break
    if total.failed:
        raise Unavailable(f"{len(total.failed)} rows were not written: {total.failed[0]}")
    rest = Swept(scanned=scanned.taken())
    total.add(rest)
    progress(rest)
    return total


def _level(target: Target, batch: Sequence[Stream], reading: Reading) -> Swept:
    covered = [s for s in batch if target.projection.covers(s.name)]
    there: dict[str, Row] = {}
    if covered and not target.empty:
        there = reading.rows.heads(target.generation, [s.name for s in covered])
    done = Swept()
    for stream in covered:
        head = there.get(stream.name)
        if head and head.version >= stream.tip(target.projection):
            continue
        try:
            if head is None:
                _fill(target, stream, reading)
                done.written += 1
            else:
                catch_up(target.projection, stream.name, reading, number=target.number)
                done.healed += 1
        except ReadModelStuck as error:
            done.stuck.append(Stuck(target, stream.name, error))
        except Conflict:
            continue  # others kept writing it, each from a newer head
        except Unavailable as error:
            done.failed.append(f"{stream.name}: {error.detail}")
            if len(done.failed) > MOST_FAILED:
                break
    return done


def in_use(target: Target, reading: Reading) -> bool:
    """Whether the generation has not been dropped."""
    catalogue = reading.generations.catalogue(target.projection.name)
    if catalogue is None:
        return True
    return any(g.number == target.number and g.state != DROPPING for g in catalogue.generations)


def _fill(target: Target, stream: Stream, reading: Reading) -> None:
    folded = folded_in_memory(target, stream)
    if folded.stuck or folded.head is None or not reading.rows.write(folded.head, folded.lines, 0):
        # Somebody was here first, or a commit is rejected: the usual way deals with both.
        catch_up(target.projection, stream.name, reading, number=target.number)


def folded_in_memory(target: Target, stream: Stream) -> Folded:
    """The stream's rows from the commits that the scan found."""
    pieces = [piece(c) for c in stream.commits]
    return fold(target.projection, target.generation, stream.name, pieces)
