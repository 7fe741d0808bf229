"""How an aggregate is described, folded and decoded. Nothing here knows a business rule."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property, reduce
from operator import or_
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True, tag_field="type", tag=True):
    """A fact. The class name is the ``type`` in storage: renaming one breaks history.

    To change an event incompatibly, keep the old class (with its tag), give it an
    ``upcast()`` that returns the new event, and tag the new class ``Name.v2``.
    """

    def upcast(self) -> Event:
        """The event in today's shape; old shapes override this."""
        return self


class Recorded(Struct, frozen=True):
    """An event where it stands in its stream. time: milliseconds since the epoch."""

    event: Event
    stream: str
    version: int
    time: int
    actor: str


State = TypeVar("State")


class Aggregate(Generic[State]):
    """A stream category, its events, its state and how the one folds into the other.

    ``evolve(state, event)`` may change ``state`` in place and must return it: a fold owns
    the state it builds, and copying it for each event would make long histories slow.
    """

    def __init__(
        self,
        category: str,
        events: tuple[type[Event], ...],
        state: type[State],
        evolve: Callable[[State, Any], State],
    ) -> None:
        self.category = category
        self.events = events
        self.state = state
        self.evolve = evolve
        self._old_shapes = any(e.upcast is not Event.upcast for e in events)

    def stream(self, identity: str) -> str:
        """The stream name of one aggregate, ``<category>-<id>``."""
        return f"{self.category}-{identity}"

    @cached_property
    def _events_decoder(self) -> msgspec.json.Decoder[Any]:
        union: Any = reduce(or_, self.events)
        return msgspec.json.Decoder(list[union])

    @cached_property
    def _state_decoder(self) -> msgspec.json.Decoder[State]:
        return msgspec.json.Decoder(self.state)

    @cached_property
    def schema(self) -> str:
        """Fingerprint of the state's shape; a snapshot of another shape is ignored."""
        text = msgspec.json.encode(msgspec.json.schema(self.state), order="sorted")
        return hashlib.sha256(text).hexdigest()[:12]

    def decode(self, events: str) -> list[Event]:
        """The events of one commit's JSON text, in today's shapes."""
        decoded: list[Event] = self._events_decoder.decode(events)
        return [e.upcast() for e in decoded] if self._old_shapes else decoded

    def fold(self, events: Iterable[Event], state: State | None = None) -> State:
        """The state after ``events``, starting from ``state`` or from nothing."""
        evolve = self.evolve
        current = self.state() if state is None else state
        for event in events:
            current = evolve(current, event)
        return current

    def snapshot(self, state: State) -> str:
        """``state`` as the JSON text that a commit carries."""
        return msgspec.json.encode({"schema": self.schema, "state": state}).decode()

    def restore(self, snapshot: str | None) -> State | None:
        """The state in a snapshot, or None when there is none of today's shape."""
        if snapshot is None:
            return None
        envelope = msgspec.json.decode(snapshot, type=_Snapshot)
        if envelope.schema != self.schema:
            return None
        return self._state_decoder.decode(envelope.state)


class _Snapshot(Struct):
    schema: str
    state: msgspec.Raw
