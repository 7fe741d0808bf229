"""What projections need of the outside world; ``infra`` implements it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from domain.commit import Commit
from projections.generations import Catalogue

HEAD = "head"


class Row(Struct, frozen=True, kw_only=True):
    """One row of a read model, folded from one stream.

    generation: ``name@number``; key: HEAD or the line's place; version: of the stream that
    the row reflects; body: the view as JSON. owner and sort list a user's rows; status
    lists rows by it, across users, and is left out where nobody asks for it. mends: how often
    a head was put right by hand; what was folded on the head before a mend cannot be written.
    """

    generation: str
    stream: str
    key: str
    version: int
    body: str
    owner: str = ""
    sort: str = ""
    status: str | None = None
    mends: int = 0


class Page(Struct, frozen=True):
    """Rows and where the next page begins (None at the end)."""

    rows: list[Row]
    cursor: str | None


class Rows(Protocol):
    """The read-model table."""

    def head(self, generation: str, stream: str) -> Row | None:
        """The stream's head row, consistently read."""

    def heads(self, generation: str, streams: Sequence[str]) -> dict[str, Row]:
        """The head rows of those streams that have one, consistently read."""

    def write(
        self, head: Row, lines: Sequence[Row], expected: int, mends: int | None = None
    ) -> bool:
        """Put the lines, then the head where its version is still ``expected`` (0: absent).

        mends: of the head that stands there, the same as the new one's unless told. False when the
        head has moved: another writer was here. The lines are idempotent.
        """

    def lines(self, generation: str, stream: str, limit: int, cursor: str | None = None) -> Page:
        """A stream's lines, newest first."""

    def owned(
        self,
        generation: str,
        owner: str,
        limit: int,
        cursor: str | None = None,
        between: tuple[str, str] | None = None,
    ) -> Page:
        """An owner's heads, newest first. between: only with ``sort`` in that range."""

    def with_status(self, generation: str, status: str) -> Iterator[Row]:
        """Heads of that status, oldest first."""

    def scan(self, generation: str, segment: int = 0, segments: int = 1) -> Iterator[Row]:
        """Every row of a generation in no order, eventually consistent."""

    def delete(self, rows: Sequence[Row]) -> None:
        """Delete those rows, whatever they say by now."""

    def drop(self, generation: str, segment: int = 0, segments: int = 1) -> int:
        """Delete a generation's rows; how many there were."""


class History(Protocol):
    """The event store, as far as a projection reads it."""

    def read(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """Commits in order that begin above version ``after``, consistently read."""

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        """Every commit; each stream's commits in order. segment: one of that many parts."""

    def estimate(self) -> int:
        """About how many commits there are, for progress and cost; hours old on AWS."""


class Generations(Protocol):
    """The catalogue of each projection's generations. In the operational table."""

    def live(self, projection: str) -> int:
        """The number of the generation that queries read; 1 at first."""

    def catalogue(self, projection: str) -> Catalogue | None:
        """What there is; None before the first was noted."""

    def replace(self, projection: str, new: Catalogue) -> bool:
        """Write ``new`` where the revision that it was made from still stands, counting it up.

        False when somebody else replaced it meanwhile; revision 0 also stands for None.
        """
