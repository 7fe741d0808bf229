"""Let parked streams follow their events again, and see which ones wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import projections
from domain.errors import Conflict, NotFound
from infra.operations import Parked, ParkedStreams, describe
from projections.catch_up import TRIES, Reading, catch_up
from projections.folding import ReadModelStuck
from projections.generations import first
from projections.projection import Projection


def waiting(streams: ParkedStreams, reading: Reading, name: str | None = None) -> Iterator[Parked]:
    """The parked streams of all projections or of that one, in generations that are written to."""
    for projection in projections.ALL.values():
        if name in (None, projection.name):
            used = _used(projection, reading)
            yield from (p for p in streams.list(projection.name) if p.number in used)


def find(streams: ParkedStreams, reading: Reading, name: str, stream: str) -> list[Parked]:
    """That stream, in every generation that cannot follow it. Raises NotFound."""
    found = [p for p in waiting(streams, reading, name) if p.stream == stream]
    if not found:
        raise NotFound(f"{stream} is not parked in {name}.")
    return found


def redrive(streams: ParkedStreams, reading: Reading, parked: Parked, now: int) -> Parked | None:
    """Try again; None when the stream follows its events now, else why it still does not.

    Raises Unavailable or Conflict; then the stream stays parked as it was.
    """
    projection = projections.ALL[parked.projection]
    for _ in range(TRIES):
        try:
            reached = catch_up(projection, parked.stream, reading, number=parked.number)
        except ReadModelStuck as error:
            return streams.park(describe(error, parked.number, parked.last, now))
        known = streams.find(parked.projection, parked.number, parked.stream)
        # What was noted and acknowledged meanwhile is applied before the entry goes.
        if known is None or (known.last <= reached and streams.release(known)):
            return None
    raise Conflict(f"Others kept writing to {parked.stream}; it stays parked. Try again.")


def release_followers(streams: ParkedStreams, reading: Reading, name: str) -> int:
    """Release the parked streams whose rows have come past what was rejected; how many."""
    released = 0
    for parked in list(streams.list(name)):
        generation = projections.ALL[name].generation(parked.number)
        head = reading.rows.head(generation, parked.stream)
        if head and head.version >= parked.last:
            released += streams.release(parked)
    return released


def _used(projection: Projection[Any], reading: Reading) -> set[int]:
    catalogue = reading.generations.catalogue(projection.name) or first(projection.version)
    return set(catalogue.written(projection.version))
