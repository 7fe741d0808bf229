"""From a stream's commits to its rows. Pure; the one place where ``apply`` is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.aggregate import Recorded
from domain.commit import Commit
from domain.errors import SplitSoundError
from projections.doorbell import NONE_RIDE, Doorbell
from projections.ports import Row
from projections.projection import ERASED_BODY, Projection, line


class ReadModelStuck(SplitSoundError):
    """The projection's code rejects a commit, so nothing after it can be shown.

    Carries projection, stream, version (the commit's first) and, as ``__cause__``, why.
    """

    code = "read_model_stuck"
    status = 503
    retryable = True

    def __init__(self, projection: str, stream: str, version: int, cause: Exception) -> None:
        self.projection, self.stream, self.version = projection, stream, version
        super().__init__(
            f"The read model {projection} cannot take version {version} of {stream} "
            f"({type(cause).__name__}: {cause})."
        )
        self.__cause__ = cause


class Piece(Struct, frozen=True):
    """A commit as far as a projection needs it; events is JSON text."""

    stream: str
    first: int
    last: int
    events: str | bytes | msgspec.Raw
    t: int
    actor: str

    @property
    def erases(self) -> bool:
        """Whether the person behind the stream is erased by it."""
        text = self.events if isinstance(self.events, str) else bytes(self.events).decode()
        # Most often the word is not there at all.
        return "Erased" in text and _ERASED.search(text) is not None


# With spaces too: a bus writes events anew. Within somebody's text the quotes would be escaped.
_ERASED = re.compile(r'"type"\s*:\s*"Erased"')


def piece(source: Commit | Doorbell) -> Piece:
    """Of a commit, or of a doorbell with its events."""
    return Piece(source.stream, source.first, source.last, source.events, source.t, source.actor)


class Folded(Struct, frozen=True):
    """The rows that commits give. head: None when nothing was folded.

    stuck: the commit after ``head`` that the projection's code rejects, if there is one.
    """

    head: Row | None
    lines: list[Row]
    stuck: ReadModelStuck | None = None


def fold(
    projection: Projection[Any],
    generation: str,
    stream: str,
    pieces: Sequence[Piece],
    head: Row | None = None,
) -> Folded:
    """The rows after ``pieces``, which follow ``head`` (None: the stream's beginning).

    Raises msgspec.MsgspecError when the head cannot be read; its rows must be folded anew.
    """
    if not pieces:
        return Folded(None, [])
    last = max((n for n, each in enumerate(pieces) if each.erases), default=None)
    if not projection.goes_on and (last is not None or (head and head.body == ERASED_BODY)):
        # Whatever came before, also what this code rejects, need not be read any more.
        row = projection.erased(generation, stream, pieces[-1].last)
        return Folded(_mended(row, head), [])
    view: Struct = projection.read(head) if head else projection.view()
    lines: list[Row] = []
    try:
        for number, each in enumerate(pieces):
            lines += _apply(projection, generation, view, each)
            if number == last:
                lines.clear()
        row = projection.head(generation, stream, pieces[-1].last, view)
    except Exception:
        return _up_to_the_rejected(projection, generation, stream, pieces, head)
    return Folded(_mended(row, head), lines)


def _up_to_the_rejected(
    projection: Projection[Any],
    generation: str,
    stream: str,
    pieces: Sequence[Piece],
    head: Row | None,
) -> Folded:
    """Once more, a head after each piece: the one that breaks may leave a half changed view."""
    view: Struct = projection.read(head) if head else projection.view()
    lines: list[Row] = []
    row: Row | None = None
    for each in pieces:
        try:
            added = _apply(projection, generation, view, each)
            row = _mended(projection.head(generation, stream, each.last, view), head)
        except Exception as error:
            return Folded(row, lines, ReadModelStuck(projection.name, stream, each.first, error))
        lines += added
        if each.erases:
            lines.clear()
    return Folded(row, lines)


def _mended(row: Row, head: Row | None) -> Row:
    return replace(row, mends=head.mends) if head and head.mends else row


def _apply(projection: Projection[Any], generation: str, view: Struct, piece: Piece) -> list[Row]:
    rows: list[Row] = []
    events = projection.aggregate.decode(piece.events)  # type: ignore[arg-type]  # JSON all
    if len(events) != piece.last - piece.first + 1:
        raise ValueError(f"versions {piece.first} to {piece.last} carry {len(events)} events")
    for version, event in enumerate(events, piece.first):
        recorded = Recorded(event, piece.stream, version, piece.t, piece.actor)
        rows += [line(generation, recorded, body) for body in projection.apply(view, recorded)]
    return rows


def riding(bells: Sequence[Doorbell], version: int) -> list[Piece] | None:
    """The pieces after ``version`` that the doorbells bring; None unless they bring all."""
    pieces = []
    for bell in sorted(bells, key=lambda b: b.first):
        if bell.last <= version:
            continue
        if bell.first != version + 1 or bell.events == NONE_RIDE:
            return None
        pieces.append(piece(bell))
        version = bell.last
    return pieces
