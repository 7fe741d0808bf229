"""Bring one stream's rows to its tip: the projector, a redrive, a query and a sweep call it.

On messages for versions [first..last] of a stream whose head reflects v:

- v >= last: duplicates;
- v == first - 1 and the events ride along: apply them;
- otherwise a gap: read the missing commits consistently, at least to ``last``.

All rows are put before the head, the head conditionally on v; whoever loses reads again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.errors import Conflict, Unavailable
from projections.doorbell import Doorbell
from projections.folding import Folded, Piece, fold, piece, riding
from projections.heads import Heads
from projections.ports import Generations, History, Row, Rows
from projections.projection import Projection

TRIES = 8


@dataclass(frozen=True)
class Reading:
    """What a query or a projector works with."""

    history: History
    rows: Rows
    generations: Generations


def catch_up(
    projection: Projection[Any],
    stream: str,
    reading: Reading,
    bells: Sequence[Doorbell] = (),
    number: int | None = None,
    heads: Heads | None = None,
) -> int:
    """Bring the stream's rows to its tip, or to what the doorbells bring.

    number: the generation, the live one unless told; heads: remembered ones, which save a
    read. Returns the version now reflected. Raises ReadModelStuck when the projection's code
    rejects a commit (what comes before it is written), Conflict when other writers won at every
    try, Unavailable when the store does not have the commit that rang.
    """
    live = reading.generations.live(projection.name) if number is None else number
    generation = projection.generation(live)
    ring = max((b.last for b in bells), default=0)
    if heads and bells and _next(projection, generation, stream, reading, bells, heads):
        return ring
    for _ in range(TRIES):
        head = reading.rows.head(generation, stream)
        version = head.version if head else 0
        if ring and version >= ring:
            return version
        pieces = riding(bells, version) if bells else None
        folded = _folded(projection, generation, stream, reading, head, pieces)
        reached = folded.head.version if folded.head else version
        if folded.stuck is None and reached < ring:
            raise Unavailable(f"{stream} rang for version {ring} and the store has {reached}.")
        if _written(reading, folded, head, heads):
            return reached
    raise Conflict(f"Other projectors kept writing {stream} in {generation}.")


def anew(projection: Projection[Any], stream: str, reading: Reading, number: int) -> int:
    """Fold the stream's rows from its beginning, whatever its head claims; for repairs.

    Returns the version now reflected, 0 when the stream does not exist. Raises as catch_up.
    """
    generation = projection.generation(number)
    for _ in range(TRIES):
        head = reading.rows.head(generation, stream)
        folded = _folded(projection, generation, stream, reading, None, None)
        if folded.head is None:
            if folded.stuck:
                raise folded.stuck
            return 0
        if head:
            # Whoever remembers the head before must not build on it.
            folded = replace(folded, head=replace(folded.head, mends=head.mends + 1))
        if _written(reading, folded, head, None):
            return folded.head.version if folded.head else 0
    raise Conflict(f"Other projectors kept writing {stream} in {generation}.")


def _next(
    projection: Projection[Any],
    generation: str,
    stream: str,
    reading: Reading,
    bells: Sequence[Doorbell],
    heads: Heads,
) -> bool:
    """Whether the doorbells simply followed the remembered head, or began the stream.

    The usual case, without a read: the conditional write tells when it was not so.
    """
    version = min(b.first for b in bells) - 1
    head = heads.recall(generation, stream, version)
    pieces = riding(bells, version) if head or version == 0 else None
    if not pieces:
        return False
    folded = fold(projection, generation, stream, pieces, head)
    return folded.stuck is None and _written(reading, folded, head, heads)


def _folded(
    projection: Projection[Any],
    generation: str,
    stream: str,
    reading: Reading,
    head: Row | None,
    pieces: list[Piece] | None,
) -> Folded:
    def missing(version: int) -> list[Piece]:
        return [piece(c) for c in reading.history.read(stream, version)]

    try:
        pieces = missing(head.version if head else 0) if pieces is None else pieces
        return fold(projection, generation, stream, pieces, head)
    except msgspec.MsgspecError:
        # The head is not what this code writes: its rows are folded from the beginning.
        folded = fold(projection, generation, stream, missing(0))
        if folded.head and head:
            folded = replace(folded, head=replace(folded.head, mends=head.mends))
        return folded


def _written(reading: Reading, folded: Folded, seen: Row | None, heads: Heads | None) -> bool:
    """Write what follows the head that was seen. False when another writer was here.

    Raises ReadModelStuck.
    """
    if folded.head:
        version, mends = (seen.version, seen.mends) if seen else (0, 0)
        if not reading.rows.write(folded.head, folded.lines, version, mends):
            _take_back(reading, folded)
            return False
        if heads:
            heads.note(folded.head)
    if folded.stuck:
        raise folded.stuck
    return True


def _take_back(reading: Reading, folded: Folded) -> None:
    """Lines are put before the head. Where the person was erased meanwhile, they go again."""
    if not folded.head or not folded.lines:
        return
    later = reading.history.read(folded.head.stream, folded.head.version)
    if any(piece(commit).erases for commit in later):
        reading.rows.delete(folded.lines)
