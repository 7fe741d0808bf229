"""The store as a persistence module of the ``eventsourcing`` library."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    DataError,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    StoredEvent,
)
from eventsourcing.tests.persistence import AggregateRecorderTestCase

from domain.commit import verify_chain
from infra.clock import SystemClock
from infra.event_store import CommitRecorder
from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.library import pack, unpack
from infra.event_store.memory import MemoryStore
from infra.local.emulator import Emulator
from infra.metering import Meter


def stored(originator_id: UUID | str, version: int, state: bytes = b"state") -> StoredEvent:
    return StoredEvent(originator_id, version, "topic", state)


class TestConformance(AggregateRecorderTestCase):
    """The library's own cases, unmodified, on the emulator."""

    @pytest.fixture(autouse=True)
    def _env(self, env: dict[str, str]) -> None:
        self.env = env

    def create_recorder(self) -> AggregateRecorder:
        return InfrastructureFactory.construct(self.env).aggregate_recorder()


class TestConformanceWithStrings(TestConformance):
    """The same with text ids."""

    def new_originator_id(self) -> str:
        return f"cargo-{uuid4().hex}"


class TestConformanceOfSnapshots(TestConformance):
    """The table for snapshots keeps the same promises to its callers."""

    def create_recorder(self) -> AggregateRecorder:
        return InfrastructureFactory.construct(self.env).aggregate_recorder("snapshots")


class TestConformanceOnDynamoDBLocal(AggregateRecorderTestCase):
    """Also on the most faithful emulator, where it is installed."""

    @pytest.fixture(autouse=True)
    def _env(self, dynamodb_local: dict[str, str]) -> None:
        self.env = {
            "PERSISTENCE_MODULE": "infra.event_store",
            "EVENTS_TABLE": f"library-{uuid.uuid4().hex}",
            **dynamodb_local,
        }

    def create_recorder(self) -> AggregateRecorder:
        return InfrastructureFactory.construct(self.env).aggregate_recorder()


class TestFactory:
    def test_without_a_table_it_says_which_variable_is_missing(self) -> None:
        lacking = InfrastructureFactory.construct({"PERSISTENCE_MODULE": "infra.event_store"})
        with pytest.raises(InfrastructureFactoryError, match="EVENTS_TABLE is not set"):
            lacking.aggregate_recorder()

    def test_what_needs_a_global_order_is_refused_with_the_reason(
        self, factory: InfrastructureFactory[Any]
    ) -> None:
        asked: Iterator[Callable[[], object]] = iter(
            (factory.application_recorder, factory.tracking_recorder, factory.process_recorder)
        )
        for method in asked:
            with pytest.raises(NotSupportedError, match="one order over all streams"):
                method()

    def test_create_table_can_be_declined(self, env: dict[str, str]) -> None:
        absent = {**env, "EVENTS_TABLE": "absent", "CREATE_TABLE": "no"}
        recorder = InfrastructureFactory.construct(absent).aggregate_recorder()
        with pytest.raises(OperationalError, match="ResourceNotFound"):
            recorder.select_events("x")

    def test_the_created_table_is_the_declared_one(
        self, env: dict[str, str], emulator: Emulator, factory: InfrastructureFactory[Any]
    ) -> None:
        factory.aggregate_recorder()
        client = emulator.access.client("dynamodb")
        table = client.describe_table(TableName=env["EVENTS_TABLE"])["Table"]
        assert [k["AttributeName"] for k in table["KeySchema"]] == ["stream_id", "seq"]
        assert table["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"


class TestRecorder:
    """What the conformance cases do not ask."""

    @pytest.fixture
    def recorder(self) -> CommitRecorder:
        return CommitRecorder(MemoryStore(SystemClock()))

    @pytest.mark.parametrize("first", [0, 1])
    def test_a_stream_begins_at_zero_or_one(self, recorder: CommitRecorder, first: int) -> None:
        recorder.insert_events([stored("a", first)])
        recorder.insert_events([stored("a", first + 1)])
        assert [e.originator_version for e in recorder.select_events("a")] == [first, first + 1]

    @pytest.mark.parametrize("versions", [[2], [-1], [1, 3], [1, 1], [2, 1]])
    def test_gaps_and_disorder_are_refused(
        self, recorder: CommitRecorder, versions: list[int]
    ) -> None:
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored("a", v) for v in versions])
        assert recorder.select_events("a") == []

    def test_overlaps_and_gaps_after_the_tip_are_refused(self, recorder: CommitRecorder) -> None:
        # The key condition alone would let both in: (a, 2) and (a, 5) are free places.
        recorder.insert_events([stored("a", v) for v in (1, 2, 3)])
        for versions in ([2, 3, 4], [3], [5]):
            with pytest.raises(IntegrityError):
                recorder.insert_events([stored("a", v) for v in versions])

    def test_several_originators_commit_together_or_not_at_all(self, env: dict[str, str]) -> None:
        recorder = InfrastructureFactory.construct(env).aggregate_recorder()
        a, b = uuid4(), uuid4()
        recorder.insert_events([stored(a, 1), stored(b, 1), stored(a, 2)])
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored(a, 3), stored(b, 1)])
        assert [len(recorder.select_events(i)) for i in (a, b)] == [2, 1]

    def test_commits_carry_the_hash_chain(self) -> None:
        store = MemoryStore(SystemClock())
        recorder = CommitRecorder(store)
        for version in range(3):
            recorder.insert_events([stored("a", version), stored(f"b{version}", 1)])
        assert verify_chain(store.read("a", after=-1)).version == 2

    def test_ids_come_back_as_they_were_asked_with(self, recorder: CommitRecorder) -> None:
        identity = uuid4()
        recorder.insert_events([stored(identity, 1)])
        assert recorder.select_events(identity)[0].originator_id == identity
        assert recorder.select_events(str(identity))[0].originator_id == str(identity)

    def test_too_large_a_commit_is_a_data_error(self, recorder: CommitRecorder) -> None:
        with pytest.raises(DataError, match="the limit is"):
            recorder.insert_events([stored("a", 1, b"x" * 400_000)])

    @pytest.mark.parametrize("sizes", [(1,) * 12, (5, 1, 4, 2), (12,)])
    def test_every_selection_agrees_with_a_plain_list(
        self, recorder: CommitRecorder, sizes: tuple[int, ...]
    ) -> None:
        events = [stored("a", v, b'{"type":"topic","n":%d}' % v) for v in range(1, 13)]
        begin = 0
        for size in sizes:
            recorder.insert_events(events[begin : begin + size])
            begin += size
        bounds = (None, 0, 1, 3, 6, 12, 15)
        for gt, lte, desc, limit in (
            (g, u, d, n) for g in bounds for u in bounds for d in (False, True)
            for n in (None, 0, 1, 4, 50)
        ):  # fmt: skip
            wanted = [
                e for e in events
                if (gt is None or e.originator_version > gt)
                and (lte is None or e.originator_version <= lte)
            ]  # fmt: skip
            wanted = (wanted[::-1] if desc else wanted)[: 99 if limit is None else limit]
            found = recorder.select_events("a", gt=gt, lte=lte, desc=desc, limit=limit)
            assert found == wanted, (gt, lte, desc, limit)

    def test_it_reads_no_more_than_it_must(self, env: dict[str, str], emulator: Emulator) -> None:
        InfrastructureFactory.construct(env).aggregate_recorder()
        meter = Meter(emulator.access.client("dynamodb"))
        recorder = CommitRecorder(DynamoDBStore(meter, env["EVENTS_TABLE"], SystemClock()))
        name = uuid4().hex
        for version in range(1, 31):
            recorder.insert_events([stored(name, version, b"x" * 3600)])
        for asked in (
            {"desc": True, "limit": 1},
            {"gt": 20, "lte": 21},
            {"desc": True, "lte": 7, "limit": 1},
        ):
            meter.reset()
            assert len(recorder.select_events(name, **asked)) == 1  # type: ignore[arg-type]
            assert meter.totals().reads == 1, asked


class TestPacking:
    def test_tagged_json_stays_text(self) -> None:
        pairs = [("a", b'{"type":"a","x":"\xc3\xa9"}'), ("b", b'{"type":"b"}')]
        assert pack(pairs) == '[{"type":"a","x":"é"},{"type":"b"}]'
        assert unpack(pack(pairs)) == pairs

    @pytest.mark.parametrize(
        "pairs",
        [
            [("a", b"state")],
            [("a", b"\xff\xfe")],
            [("a", b'{"type":"b"}')],
            [("a", b'{"x":1}')],
            [("a", b"[1]")],
            [("a", b' {"type":"a"} ')],
            [("a", b'{"type":"a"},{"type":"a"}')],
            [("a", b'{"type":"a"')],
            [("a", b'{"type":"a"}'), ("b", b"")],
        ],
    )
    def test_anything_else_is_binary_and_comes_back_byte_for_byte(
        self, pairs: list[tuple[str, bytes]]
    ) -> None:
        assert isinstance(pack(pairs), bytes)
        assert unpack(pack(pairs)) == pairs
