"""What a query asks of a read model: a view and the version that it reflects.

A query given the stream and version that a command returned answers from rows at least
that new; rows that lag are caught up here, so that whoever wrote reads what they wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Generic

import msgspec
from msgspec import Struct

from domain.commit import Commit
from domain.errors import Conflict, Invalid, NotFound
from projections.catch_up import Reading, anew, catch_up
from projections.folding import ReadModelStuck, fold, piece
from projections.ports import Row
from projections.projection import ERASED_BODY, Projection, View

_PAGE = 500


class Versioned(Struct, Generic[View], frozen=True):
    """A view, its stream, and the stream's version that it reflects."""

    stream: str
    version: int
    view: View


class Slice(Struct, Generic[View], frozen=True):
    """One page of an owner's views, newest first. cursor: None at the end."""

    items: list[Versioned[View]]
    cursor: str | None


def at_least(
    projection: Projection[View], stream: str, reading: Reading, min_version: int = 1
) -> Versioned[View] | None:
    """The view at ``min_version`` or later, or the newest there is; None without a stream."""
    # Looked up once: a flip between following and reading would read what was not followed.
    number = reading.generations.live(projection.name)
    head = reading.rows.head(projection.generation(number), stream)
    if head is None or head.version < min_version:
        head = _followed(projection, stream, reading, number)
    return _shown(projection, head, reading)


def several(
    projection: Projection[View], least: Mapping[str, int], reading: Reading
) -> dict[str, Versioned[View]]:
    """The views of those streams, each at its version or later, or the newest there is.

    One batch reads them all; only rows that lag are caught up one by one. A view that cannot
    follow its stream is what it last was.
    """
    number = reading.generations.live(projection.name)
    rows = reading.rows.heads(projection.generation(number), list(least))
    found: dict[str, Versioned[View]] = {}
    for stream, version in least.items():
        head = rows.get(stream)
        if head is None or head.version < version:
            with suppress(ReadModelStuck):
                head = _followed(projection, stream, reading, number)
        if shown := _shown(projection, head, reading):
            found[stream] = shown
    return found


def own(
    projection: Projection[View], stream: str, owner: str, reading: Reading, min_version: int = 1
) -> Versioned[View]:
    """The owner's view at ``min_version`` or later.

    Raises NotFound when there is none or it is somebody else's (the answer is the same), and
    only then Invalid when the stream has not reached that version.
    """
    found = at_least(projection, stream, reading, min_version)
    if found is None or projection.index(found.view).owner != owner:
        raise NotFound(f"You have no such {projection.aggregate.category}.")
    if found.version < min_version:
        raise Invalid(f"{stream} is at version {found.version}; it has no {min_version} yet.")
    return found


def latest(projection: Projection[View], stream: str, reading: Reading) -> Versioned[View] | None:
    """The view at the stream's tip, for what must never look stale (money)."""
    number = reading.generations.live(projection.name)
    head = _followed(projection, stream, reading, number)
    return _shown(projection, head, reading)


def folded(
    projection: Projection[View], stream: str, reading: Reading, written: Commit | None = None
) -> Versioned[View] | None:
    """The view folded from the events themselves: for the answer to a command on a short stream.

    Touches no row, so that a command's answer neither waits for a projector nor races it.
    written: what the command wrote; where that began the stream, nothing is read.
    """
    whole = [written] if written and written.first == 1 else reading.history.read(stream)
    found = fold(projection, "", stream, [piece(c) for c in whole])
    if found.stuck:
        raise found.stuck
    return _shown(projection, found.head, reading)


def live(projection: Projection[View], reading: Reading) -> str:
    """The generation that queries read. A cursor continues only in the one that it is from."""
    return projection.generation(reading.generations.live(projection.name))


def owned(
    projection: Projection[View],
    generation: str,
    owner: str,
    reading: Reading,
    limit: int,
    cursor: str | None,
) -> Slice[View]:
    """A page of an owner's views. The list may lag behind the events for a moment."""
    page = reading.rows.owned(generation, owner, limit, cursor)
    return Slice([_versioned(projection, row, reading) for row in page.rows], page.cursor)


def owned_between(
    projection: Projection[View], owner: str, reading: Reading, between: tuple[str, str]
) -> list[Versioned[View]]:
    """All of an owner's views with ``sort`` in that range, newest first, from as many pages as
    there are. They may lag behind the events for a moment.
    """
    generation = live(projection, reading)
    found: list[Versioned[View]] = []
    cursor: str | None = None
    while True:
        page = reading.rows.owned(generation, owner, _PAGE, cursor, between)
        found += [_versioned(projection, row, reading) for row in page.rows]
        if not (cursor := page.cursor):
            return found


def with_own_write(page: Slice[View], written: Versioned[View]) -> Slice[View]:
    """The first page with that view in it, where the list has not caught up with it."""
    items = list(page.items)
    for place, item in enumerate(items):
        if item.stream == written.stream:
            items[place] = max(item, written, key=lambda v: v.version)
            return Slice(items, page.cursor)
    return Slice([written, *items], page.cursor)


def _followed(
    projection: Projection[View], stream: str, reading: Reading, number: int
) -> Row | None:
    """The head after catching it up, or after others who write it did.

    Whoever beat us twice had read the head that we lost to first, so read the events after
    we were called: the row is as new as our own would have been.
    """
    with suppress(Conflict):
        catch_up(projection, stream, reading, number=number)
    return reading.rows.head(projection.generation(number), stream)


def _shown(
    projection: Projection[View], row: Row | None, reading: Reading
) -> Versioned[View] | None:
    """The view, if there is one and its person was not erased."""
    if row is None or row.body == ERASED_BODY:
        return None
    return _versioned(projection, row, reading)


def _versioned(projection: Projection[View], row: Row, reading: Reading) -> Versioned[View]:
    try:
        return Versioned(row.stream, row.version, projection.read(row))
    except msgspec.MsgspecError:
        # Not what this code writes: folded anew from the events, which are the truth.
        number = int(row.generation.rpartition("@")[2])
        anew(projection, row.stream, reading, number)
        fresh = reading.rows.head(row.generation, row.stream) or row
        return Versioned(fresh.stream, fresh.version, projection.read(fresh))
