"""How a read model is described."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from domain.aggregate import Aggregate, Recorded
from domain.erased import Erased
from projections.ports import HEAD, Row

View = TypeVar("View", bound=Struct)
ERASED_BODY = '{"erased":true}'
"""Of the head that an erased stream keeps: it says nothing but the version that it reflects, and
keeps a projector that comes late from bringing the rows back.
"""

_ALWAYS = frozenset((Erased.event_name(),))


class Index(Struct, frozen=True):
    """How a head is found: by owner in the order of sort, or by status across owners."""

    owner: str
    sort: str
    status: str | None = None


@dataclass(frozen=True)
class Projection(Generic[View]):
    """A read model over the streams of one aggregate.

    apply(view, recorded) changes the view in place and returns the lines that the event
    adds (most models have none). It is pure: no clock, no I/O, the same rows every time.
    version: of this code; raise it when the rows change, then rebuild.
    moved_by: names of the events that change the view, empty for all of them. Commits without
    any need no write: the head stays behind them, and still says what it should. Erased is always
    one of them.
    goes_on: the streams do, after a person was erased: apply takes that event too. Else whatever
    comes then shows nothing.
    changes: per version, the fields of rows that it changed on purpose, as a verification names
    them (``status``, ``body.price``, ``line.body.kind``, ``line.row``).
    """

    name: str
    version: int
    aggregate: Aggregate  # type: ignore[type-arg]  # any state
    view: type[View]
    apply: Callable[[View, Recorded], list[Struct]]
    index: Callable[[View], Index]
    has_lines: bool = False
    moved_by: frozenset[str] = frozenset()
    goes_on: bool = False
    changes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def covers(self, stream: str) -> bool:
        """Whether the stream belongs to this read model."""
        return stream.startswith(self.aggregate.category + "-")

    def moves(self, types: Iterable[str]) -> bool:
        """Whether a commit with events of those names can change the view."""
        return not self.moved_by or not (self.moved_by | _ALWAYS).isdisjoint(types)

    @property
    def fingerprint(self) -> str:
        """Of the source that makes the rows: what was half built by other source is built anew."""
        makers = (self.apply, self.index, self.view, self.aggregate.evolve, self.aggregate.state)
        files = {sys.modules[maker.__module__].__file__ or "" for maker in makers}
        digest = hashlib.sha256()
        for name in sorted(files):
            digest.update(Path(name).read_bytes())
        return digest.hexdigest()[:12]

    def generation(self, number: int) -> str:
        """The generation's name in rows, ``name@number``."""
        return f"{self.name}@{number}"

    def intended(self, since: int) -> frozenset[str]:
        """The fields that versions after ``since`` changed on purpose."""
        return frozenset(f for v, fields in self.changes.items() if v > since for f in fields)

    def read(self, row: Row) -> View:
        """The view in a head row."""
        return msgspec.json.decode(row.body, type=self.view)

    def erased(self, generation: str, stream: str, version: int) -> Row:
        """The head row of a stream whose person was erased."""
        return Row(
            generation=generation, stream=stream, key=HEAD, version=version, body=ERASED_BODY
        )

    def head(self, generation: str, stream: str, version: int, view: View) -> Row:
        """The head row that reflects ``version``."""
        index = self.index(view)
        return Row(
            generation=generation,
            stream=stream,
            key=HEAD,
            version=version,
            body=msgspec.json.encode(view).decode(),
            owner=index.owner,
            sort=index.sort,
            status=index.status,
        )


def line(generation: str, recorded: Recorded, body: Struct) -> Row:
    """A line row; its key is its place in the stream, so that writing it again is harmless."""
    return Row(
        generation=generation,
        stream=recorded.stream,
        key=f"line#{recorded.version:012d}",
        version=recorded.version,
        body=msgspec.json.encode(body).decode(),
    )


def purge_day(date: int) -> str:
    """The status of heads whose media go on the day of that date (epoch ms, UTC)."""
    day = datetime.fromtimestamp(date / 1000, UTC).strftime("%Y-%m-%d")
    return f"purge#{day}"
