"""Struct events and the library's own through our mapper, upcast, sealed and in repositories."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Repository
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    DatetimeAsISO,
    DecimalAsStr,
    EventStore,
    InfrastructureFactory,
    JSONTranscoder,
    MapperDeserialisationError,
    StoredEvent,
    UUIDAsHex,
)
from eventsourcing.utils import get_topic, register_topic
from msgspec import Struct

from infra.event_store import StructMapper
from infra.event_store.library import pack


class Dog(Aggregate):
    """An aggregate as the library's tutorial has it."""

    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


class Nested(Struct, frozen=True):
    weight: Decimal


class CargoBooked(Struct, frozen=True):
    originator_id: str
    originator_version: int
    at: datetime
    owner: UUID
    load: Nested
    note: str = "é"


class Strict(Struct, frozen=True, forbid_unknown_fields=True, tag="strict", rename="camel"):
    originator_id: UUID
    originator_version: int
    port_name: str


class Renamed(Struct, frozen=True):
    """Its first version called the field ``port``, its second had no country."""

    originator_id: str
    originator_version: int
    port_name: str
    country: str
    class_version: ClassVar[int] = 3

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["port_name"] = state.pop("port")

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["country"] = "unknown"


WHEN = datetime(2026, 1, 2, tzinfo=UTC)
BOOKED = CargoBooked("cargo-1", 1, WHEN, uuid4(), Nested(Decimal("1.5")))


class TestMapper:
    @pytest.fixture
    def mapper(self, factory: InfrastructureFactory[Any]) -> StructMapper[Any]:
        mapper: Any = factory.mapper()
        assert isinstance(mapper, StructMapper)
        return mapper

    @pytest.mark.parametrize("event", [BOOKED, Strict(uuid4(), 7, "Bergen")])
    def test_structs_round_trip(self, mapper: StructMapper[Any], event: Any) -> None:
        state = mapper.to_stored_event(event)
        assert state.state.startswith(b'{"type":"' + get_topic(type(event)).encode())
        assert b"originator" not in state.state
        assert mapper.to_domain_event(state) == event

    def test_old_shapes_are_upcast(self, mapper: StructMapper[Any]) -> None:
        topic = get_topic(Renamed)
        old = b'{"type":"%s","port":"Oslo"}' % topic.encode()
        assert mapper.to_domain_event(StoredEvent("a", 4, topic, old)) == Renamed(
            "a", 4, "Oslo", "unknown"
        )
        second = b'{"type":"%s","class_version":2,"port_name":"Oslo"}' % topic.encode()
        assert mapper.to_domain_event(StoredEvent("a", 4, topic, second)) == Renamed(
            "a", 4, "Oslo", "unknown"
        )
        today = Renamed("a", 5, "Oslo", "NO")
        assert mapper.to_domain_event(mapper.to_stored_event(today)) == today

    def test_a_state_that_does_not_fit_is_named(self, mapper: StructMapper[Any]) -> None:
        broken = StoredEvent("cargo-9", 4, get_topic(CargoBooked), b'{"type":"x"}')
        with pytest.raises(MapperDeserialisationError, match=r"cargo-9.*originator_version 4"):
            mapper.to_domain_event(broken)

    def test_compression_and_encryption_are_honoured(self, env: dict[str, str]) -> None:
        from eventsourcing.cipher import AESCipher

        sealed = {
            **env,
            "CIPHER_KEY": AESCipher.create_key(16),
            "COMPRESSOR_TOPIC": "eventsourcing.compressor:ZlibCompressor",
        }
        factory = InfrastructureFactory.construct(sealed)
        mapper: Any = factory.mapper()
        state = mapper.to_stored_event(BOOKED)
        assert b"cargo" not in state.state
        assert mapper.to_domain_event(state) == BOOKED
        assert isinstance(pack([(state.topic, state.state)]), bytes)

    def test_unsuitable_structs_are_refused_with_the_reason(self) -> None:
        class Taken(Struct):
            originator_id: str
            originator_version: int
            type: str

        class Placeless(Struct):
            x: int

        class Positional(Struct, array_like=True):
            originator_id: str
            originator_version: int

        mapper: Any = StructMapper(JSONTranscoder())
        for unsuitable, why in (
            (Taken("a", 1, "b"), "has a field 'type'"),
            (Placeless(1), "has no field originator_id"),
            (Positional("a", 1), "array_like"),
        ):
            with pytest.raises(TypeError, match=why):
                mapper.to_stored_event(unsuitable)


class TestApplication:
    """Repositories over the recorder, as an application would have them."""

    @pytest.fixture
    def transcoder(self) -> JSONTranscoder:
        transcoder = JSONTranscoder()
        for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
            transcoder.register(transcoding)
        return transcoder

    def test_library_aggregates_and_their_snapshots(
        self, factory: InfrastructureFactory[Any], transcoder: JSONTranscoder
    ) -> None:
        mapper: Any = factory.mapper(transcoder)
        events: EventStore[UUID] = EventStore(mapper, factory.aggregate_recorder())
        snapshots: EventStore[UUID] = EventStore(mapper, factory.aggregate_recorder("snapshots"))
        repository = Repository(events, snapshot_store=snapshots)
        dog = Dog("Fido")
        dog.add_trick("roll over")
        events.put(dog.collect_events())
        snapshots.put([Dog.Snapshot.take(dog)])
        dog.add_trick("play dead")
        events.put(dog.collect_events())
        found: Dog = repository.get(dog.id)
        assert (found.name, found.tricks, found.version) == ("Fido", ["roll over", "play dead"], 3)
        assert repository.get(dog.id, version=2).tricks == ["roll over"]

    def test_struct_events(self, factory: InfrastructureFactory[Any]) -> None:
        mapper: Any = factory.mapper()
        recorder = factory.aggregate_recorder()
        events: EventStore[str] = EventStore(mapper, recorder)
        name = f"cargo-{uuid4().hex}"
        first: Any = CargoBooked(name, 1, BOOKED.at, BOOKED.owner, BOOKED.load)
        second: Any = Renamed(name, 2, "Oslo", "NO")
        events.put([first, second])
        assert list(events.get(name)) == [first, second]
        assert list(events.get(name, gt=1)) == [second]

    def test_events_of_the_core_are_readable_through_the_library(self) -> None:
        class NoteTaken(Struct, frozen=True):
            originator_id: str
            originator_version: int
            text: str

        register_topic("NoteTaken", NoteTaken)
        mapper: Any = StructMapper(JSONTranscoder())
        state = StoredEvent("note-1", 1, "NoteTaken", b'{"type":"NoteTaken","text":"x"}')
        assert mapper.to_domain_event(state) == NoteTaken("note-1", 1, "x")
