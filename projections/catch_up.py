"""The one function that writes rows, and the rebuild that calls it for every stream.

On a message for versions [first..last] of a stream whose head reflects v:

- v >= last: a duplicate;
- v == first - 1 and the events ride along: apply them;
- otherwise a gap: read the missing commits consistently, at least to ``last``.

All rows are put before the head, the head conditionally on v; whoever loses reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from domain.aggregate import Recorded
from domain.commit import recorded
from domain.errors import Conflict, Unavailable
from projections.doorbell import Doorbell
from projections.ports import Generations, History, Row, Rows
from projections.projection import Projection, line

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
    doorbell: Doorbell | None = None,
    number: int | None = None,
) -> int:
    """Bring the stream's rows to its tip (at least to the doorbell's last version).

    number: the generation, the live one unless told. Returns the version now reflected.
    Raises Conflict when other writers won at every try, Unavailable when the store does
    not have the commit that rang.
    """
    live = reading.generations.live(projection.name) if number is None else number
    generation = projection.generation(live)
    for _ in range(TRIES):
        head = reading.rows.head(generation, stream)
        version = head.version if head else 0
        if doorbell and version >= doorbell.last:
            return version
        events = _missing(projection, stream, reading.history, version, doorbell)
        new_head, lines = _fold(projection, generation, stream, head, events)
        reached = new_head.version if new_head else version
        if doorbell and reached < doorbell.last:
            raise Unavailable(
                f"{stream} rang for version {doorbell.last} and the store has {reached}."
            )
        if new_head is None or reading.rows.write(new_head, lines, version):
            return reached
    raise Conflict(f"Other projectors kept writing {stream} in {generation}.")


def _missing(
    projection: Projection[Any],
    stream: str,
    history: History,
    version: int,
    doorbell: Doorbell | None,
) -> Iterable[Recorded]:
    if doorbell and version == doorbell.first - 1:
        riding = projection.aggregate.decode(bytes(doorbell.events).decode())
        if riding:
            return [
                Recorded(event, stream, doorbell.first + offset, doorbell.t, doorbell.actor)
                for offset, event in enumerate(riding)
            ]
    return recorded(projection.aggregate, history.read(stream, version))


def _fold(
    projection: Projection[Any],
    generation: str,
    stream: str,
    head: Row | None,
    events: Iterable[Recorded],
) -> tuple[Row | None, list[Row]]:
    view: Struct = projection.read(head) if head else projection.view()
    lines: list[Row] = []
    version = 0
    for event in events:
        lines += [line(generation, event, body) for body in projection.apply(view, event)]
        version = event.version
    if not version:
        return None, []
    return projection.head(generation, stream, version, view), lines


def rebuild(
    projection: Projection[Any],
    reading: Reading,
    settle: Callable[[], None],
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Fold every stream into a new generation, flip, sweep once more, drop the old one.

    settle() waits until every projector has seen the flip; what they wrote to the old
    generation meanwhile is picked up by the second sweep. Returns the number of streams.
    """
    old = reading.generations.live(projection.name)
    new = old + 1
    reading.rows.drop(projection.generation(new))  # a rebuild that was killed left some
    sweep(projection, reading, new, progress)
    reading.generations.flip(projection.name, new)
    settle()
    count = sweep(projection, reading, new)
    reading.rows.drop(projection.generation(old))
    return count


def sweep(
    projection: Projection[Any],
    reading: Reading,
    number: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Catch up every stream of the projection; heals a message that was lost for good."""
    count = 0
    last = ""
    for commit in reading.history.scan():
        if commit.stream == last or not projection.covers(commit.stream):
            continue
        last = commit.stream
        catch_up(projection, last, reading, number=number)
        count += 1
        progress(count)
    return count
