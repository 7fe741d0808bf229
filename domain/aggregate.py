"""How an aggregate is described, folded and decoded. Nothing here knows a business rule."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import cached_property, reduce
from operator import or_
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

_TAG = re.compile(r"[A-Z][A-Za-z]*(\.v([2-9]|[1-9][0-9]+))?")


class Event(Struct, frozen=True, tag_field="type", tag=True):
    """A fact. Its tag is the ``type`` in storage; renaming one breaks history.

    The tag is the class name, which is version 1, or ``Name.v2``, ``Name.v3``, ... To change
    an event incompatibly: rename the old class and keep its tag (``tag="Noted"``), give it an
    ``upcast()`` that returns the next version's event, and tag the new class ``Noted.v2``. Both
    stand in the aggregate's events; ``evolve`` and projections meet only the newest.

    A commit's ``types``, and so rules and doorbells, say the name without the version: who
    waits for ``Noted`` waits for what happened, in whatever shape it is written down.
    """

    @classmethod
    def event_name(cls) -> str:
        """What happened, whatever the version: the tag without its suffix."""
        return _tag(cls).partition(".v")[0]

    @classmethod
    def schema_version(cls) -> int:
        """1 for a plain tag, 2 for ``Name.v2``."""
        return int(_tag(cls).partition(".v")[2] or 1)

    def upcast(self) -> Event:
        """The event in the next version's shape; old versions override this."""
        return self


def _tag(event: type[Event]) -> str:
    return str(event.__struct_config__.tag)


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
    snapshot_commits: a snapshot in every so many commits; None leaves the number to the store.
    """

    def __init__(
        self,
        category: str,
        events: tuple[type[Event], ...],
        state: type[State],
        evolve: Callable[[State, Any], State],
        snapshot_commits: int | None = None,
    ) -> None:
        self.category = category
        self.events = events
        self.state = state
        self.evolve = evolve
        self.snapshot_commits = snapshot_commits
        self._old_shapes = _check_versions(category, events)

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

    @cached_property
    def decode(self) -> Callable[[str], list[Event]]:
        """Gives the events of one commit's JSON text, in today's shapes."""
        decode: Callable[[str], list[Event]] = self._events_decoder.decode
        # Without old shapes it is the decoder itself: long histories are made of such calls.
        return (lambda events: [_newest(e) for e in decode(events)]) if self._old_shapes else decode

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


def _newest(event: Event) -> Event:
    while (newer := event.upcast()) is not event:
        event = newer
    return event


def _check_versions(category: str, events: Iterable[type[Event]]) -> bool:
    """Whether there are old versions. Raises TypeError where tags or upcasts do not fit."""
    versions: dict[str, list[type[Event]]] = {}
    for event in events:
        if not _TAG.fullmatch(_tag(event)):
            raise TypeError(f"{category}: the tag {_tag(event)!r} is neither Name nor Name.v2, ...")
        versions.setdefault(event.event_name(), []).append(event)
    for name, shapes in versions.items():
        shapes.sort(key=lambda shape: shape.schema_version())
        if [shape.schema_version() for shape in shapes] != list(range(1, len(shapes) + 1)):
            raise TypeError(f"{category}: the versions of {name} must be 1, 2, ... without a gap.")
        *old, newest = shapes
        if newest.upcast is not Event.upcast or any(o.upcast is Event.upcast for o in old):
            raise TypeError(f"{category}: each version of {name} but the newest needs an upcast().")
    return any(len(shapes) > 1 for shapes in versions.values())


class _Snapshot(Struct):
    schema: str
    state: msgspec.Raw
