"""The eventsourcing library's Mapper for msgspec Structs; it maps the library's own events too.

A Struct event is stored as tagged JSON, ``{"type": topic, ...fields}``, so that the recorder can
keep it as readable text. The two fields that say where the event stands, ``originator_id`` and
``originator_version``, are the item's key and are not repeated in its state.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import msgspec
from eventsourcing.domain import DomainEventProtocol, TAggregateID
from eventsourcing.persistence import (
    Mapper,
    MapperDeserialisationError,
    StoredEvent,
    Transcoder,
)
from eventsourcing.utils import get_topic, resolve_topic
from msgspec import Struct

_PLACE = ("originator_id", "originator_version")


class StructTranscoder(Transcoder):
    """JSON by msgspec: Structs, dates, UUIDs and decimals are encoded; plain values come back."""

    def encode(self, obj: Any) -> bytes:
        """UTF-8 JSON without spaces."""
        return msgspec.json.encode(obj)

    def decode(self, data: bytes) -> Any:
        """Raises msgspec.DecodeError."""
        return msgspec.json.decode(data)


class StructMapper(Mapper[TAggregateID]):
    """Maps Structs that have ``originator_id`` and ``originator_version``.

    ``class_version`` and ``upcast_v1_v2`` (static methods on the raw dict) work as the library
    documents them. Any other event goes the library's way, through the given transcoder.
    """

    def to_stored_event(self, domain_event: DomainEventProtocol[TAggregateID]) -> StoredEvent:
        """Raises TypeError for a Struct class that cannot be stored by field names."""
        if not isinstance(domain_event, Struct):
            return super().to_stored_event(domain_event)
        shape = _shape(type(domain_event))
        state: bytes = _JSON.encode(shape.raw(domain_event))
        if self.compressor:
            state = self.compressor.compress(state)
        if self.cipher:
            state = self.cipher.encrypt(state)
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, shape.topic, state
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[TAggregateID]:
        """Raises MapperDeserialisationError when the state does not fit the class."""
        cls = resolve_topic(stored_event.topic)
        if not (isinstance(cls, type) and issubclass(cls, Struct)):
            return super().to_domain_event(stored_event)
        try:
            event = _shape(cls).event(self._plain(stored_event.state), stored_event)
        except Exception as error:  # a cipher or an upcast may raise anything
            raise MapperDeserialisationError(
                f"Failed to deserialise state of stored event with topic "
                f"'{stored_event.topic}', originator_id '{stored_event.originator_id}' and "
                f"originator_version {stored_event.originator_version}: {error}"
            ) from error
        return cast("DomainEventProtocol[TAggregateID]", event)

    def _plain(self, state: bytes) -> bytes:
        if self.cipher:
            state = self.cipher.decrypt(state)
        if self.compressor:
            state = self.compressor.decompress(state)
        return state


class _Shape:
    """What mapping one Struct class needs, worked out once."""

    def __init__(self, cls: type[Struct]) -> None:
        config = cls.__struct_config__
        names = dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
        _check(cls, names)
        self._cls = cls
        self._id, self._at = names["originator_id"], names["originator_version"]
        self._splice = b'%%b,"%b":%%b,"%b":%%d}' % (self._id.encode(), self._at.encode())
        self._fields = [(f, e) for f, e in names.items() if f not in _PLACE]
        self._version = int(getattr(cls, "class_version", 1))
        self._decoder = msgspec.json.Decoder(cls)
        self.topic = get_topic(cls)
        # A class that takes unknown fields, has no tag of its own and was never changed can be
        # decoded in one pass over the bytes, about three times as fast.
        self._direct = (
            self._version == 1 and config.tag is None and not config.forbid_unknown_fields
        )

    def raw(self, event: Struct) -> dict[str, Any]:
        """The event's state with its topic, and its class version above 1."""
        state = {"type": self.topic}
        if self._version > 1:
            state["class_version"] = cast("Any", self._version)
        for field, encoded in self._fields:
            state[encoded] = getattr(event, field)
        return state

    def event(self, state: bytes, stored: StoredEvent) -> Struct:
        """The event that ``state`` holds, put back at its place."""
        identity, version = stored.originator_id, stored.originator_version
        if self._direct and state.endswith(b"}"):
            whole = self._splice % (state[:-1], _encode(identity), version)
            return self._decoder.decode(whole)
        raw: dict[str, Any] = _JSON.decode(state)
        raw |= {self._id: identity, self._at: version}
        del raw["type"]
        for old in range(raw.pop("class_version", 1), self._version):
            getattr(self._cls, f"upcast_v{old}_v{old + 1}")(raw)
        return msgspec.convert(raw, self._cls, str_keys=True)


def _check(cls: type[Struct], names: dict[str, str]) -> None:
    if cls.__struct_config__.array_like:
        raise TypeError(f"{cls.__qualname__} is array_like; stored events need named fields.")
    if missing := [name for name in _PLACE if name not in names]:
        raise TypeError(f"{cls.__qualname__} has no field {missing[0]}; every event needs it.")
    if taken := {"type", "class_version"} & set(names.values()):
        raise TypeError(
            f"{cls.__qualname__} has a field {taken.pop()!r}, which the storage format uses; "
            "rename it with msgspec.field(name=...)."
        )


_shape = cache(_Shape)
_JSON = StructTranscoder()
_encode = msgspec.json.encode
