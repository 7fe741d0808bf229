"""What commands need of the outside world; ``infra`` implements it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from domain.aggregate import Aggregate
from domain.commit import Append, Commit, Loaded, Meta
from domain.controls import ControlsState

State = TypeVar("State")


class EventStore(Protocol):
    """The one place where facts are written."""

    def load(self, aggregate: Aggregate[State], stream: str) -> Loaded[State]:
        """The stream's state by a consistent read; version 0 when it does not exist."""

    def append(self, appends: Sequence[Append], meta: Meta) -> list[Commit]:
        """Commit all of them in one transaction, or none. Raises Conflict."""

    def newest_first(self, stream: str) -> Iterator[Commit]:
        """The stream's commits from its tip backwards, consistently read, fetched as needed."""


class Clock(Protocol):
    """Time."""

    def now(self) -> int:
        """Milliseconds since the epoch."""


class Ids(Protocol):
    """Chance."""

    def fresh(self, prefix: str) -> str:
        """A new id, sortable by time."""


class Sealer(Protocol):
    """Personal fields, sealed under a key of the person's own."""

    def seal(self, user_id: str, place: tuple[str, int, str], text: str) -> str:
        """Ciphertext bound to its place: stream, version, field."""


class Switchboard(Protocol):
    """What operators hold shut, for whoever is about to begin something new."""

    def state(self) -> ControlsState:
        """As it was at most a moment ago. Never raises: what is unknown counts as open."""


class Results(Protocol):
    """Finished jobs by what they were asked for."""

    def find(self, user_id: str, fingerprint: str) -> str | None:
        """A completed job of that user with that fingerprint, as far as is known. Never raises."""


class Pause(Protocol):
    """Waiting between two tries, so that a simulation can skip it."""

    def __call__(self, seconds: float, /) -> Any:
        """Wait so many seconds."""
