"""Let parked streams follow their events again, and see which ones wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import projections
from domain.errors import NotFound
from infra.operations import Parked, ParkedStreams, describe
from projections.catch_up import Reading, catch_up
from projections.folding import ReadModelStuck
from projections.generations import DROPPING, first
from projections.projection import Projection


def waiting(streams: ParkedStreams, reading: Reading, name: str | None = None) -> Iterator[Parked]:
    """The parked streams of all projections or of that one, in generations that are in use."""
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
    try:
        catch_up(projection, parked.stream, reading, number=parked.number)
        streams.release(parked)
        # What was committed between these two was noted and acknowledged, but not applied.
        catch_up(projection, parked.stream, reading, number=parked.number)
    except ReadModelStuck as error:
        return streams.park(describe(error, parked.number, parked.last, now))
    return None


def _used(projection: Projection[Any], reading: Reading) -> set[int]:
    catalogue = reading.generations.catalogue(projection.name) or first(projection.version)
    return {g.number for g in catalogue.generations if g.state != DROPPING}
