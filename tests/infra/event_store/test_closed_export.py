"""An export of a live store holds all of a transaction or none of it."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commit import Commit
from domain.errors import HistoryBroken
from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.importer import Imported
from infra.event_store.lines import encode
from infra.event_store.memory import MemoryStore
from infra.event_store.transfer import import_events
from infra.local.emulator import Emulator
from tests.infra.event_store.notebook import SetClock, write, write_together
from tests.infra.event_store.test_transfer import (
    STREAMS,
    History,
    decoded,
    ended,
    everything,
    exported,
    filled,
    histories,
    piped,
)


class Live(MemoryStore):
    """Commands go on while it is scanned."""

    def __init__(self) -> None:
        super().__init__(SetClock())
        self.passing: Callable[[], object] = lambda: None
        self.names = list(STREAMS)

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        for name in self.names:
            yield from self.read(name)
            self.passing()


class TestLiveExport:
    def test_a_transaction_after_the_cursor_is_there_whole(self) -> None:
        live = Live()
        write_together(live, STREAMS)
        todo = [("notes-a", "notes-b"), ("notes-c", "notes-a"), ("notes-d", "notes-a")]
        live.passing = lambda: write_together(live, todo.pop(0)) if todo else None
        data = exported(live)
        # notes-a's second came after notes-a had passed; that with notes-d after all had.
        assert [(c.stream, c.first) for c in decoded(data)] == [
            ("notes-a", 1), ("notes-b", 1), ("notes-b", 2), ("notes-c", 1), ("notes-c", 2),
            ("notes-a", 2), ("notes-a", 3),
        ]  # fmt: skip
        target = MemoryStore(SetClock())
        assert import_events(target, io.BytesIO(data)) == Imported(7, 0)
        assert import_events(target, piped(data)) == Imported(0, 7)

    @given(
        histories,
        st.lists(
            st.lists(
                st.lists(
                    st.sampled_from((*STREAMS, "notes-d")), min_size=1, max_size=4, unique=True
                ),
                max_size=5,
            ),
            max_size=4,
        ),
        st.permutations(STREAMS),
        st.sampled_from([1, 2, 500]),
    )
    @settings(max_examples=150)
    def test_whatever_commands_run_meanwhile(
        self, history: History, meanwhile: list[list[list[str]]], names: list[str], batch: int
    ) -> None:
        live = Live()
        live.names = names
        for streams, text in history:
            write_together(live, streams, text)
        before = everything(live)

        todo = iter(meanwhile)

        def commands() -> None:
            for streams in next(todo, ()):
                write_together(live, streams)

        live.passing = commands
        data = exported(live)
        target = MemoryStore(SetClock())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("infra.event_store.transfer._BATCH_COMMITS", batch)
            import_events(target, piped(data))
        got = everything(target)
        live.names = [*STREAMS, "notes-d"]
        assert set(before) <= set(got)
        assert all(everything(live)[place] == commit for place, commit in got.items())
        assert {(p.stream, p.first) for c in got.values() for p in c.peers} <= set(got)

    def test_a_writer_beside_the_real_store(self, emulator: Emulator, table: str) -> None:
        store = DynamoDBStore(emulator.access.client("dynamodb"), table, SetClock())
        names = [f"notes-{n}" for n in range(12)]
        for name in names:
            write_together(store, [name], "x" * 250_000)  # so that the scan has pages
        chance, stop, written = random.Random(3), threading.Event(), threading.Semaphore(0)

        def keep_writing() -> None:
            while not stop.is_set():
                write_together(store, chance.sample(names, 3))
                written.release()

        client = emulator.access.client("dynamodb")
        pages: list[bool] = []

        def between_pages(**_: object) -> None:
            pages.append(all(written.acquire(timeout=10) for _ in range(10)))

        client.meta.events.register("before-call.dynamodb.Scan", between_pages)
        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(keep_writing)
            try:
                data = exported(DynamoDBStore(client, table, SetClock()))
            finally:
                stop.set()
                # The client is every test's.
                client.meta.events.unregister("before-call.dynamodb.Scan", between_pages)
            writer.result()
        assert len(pages) > 2
        assert all(pages)
        target = MemoryStore(SetClock())
        import_events(target, piped(data))
        got = everything(target)
        assert {(p.stream, p.first) for c in got.values() for p in c.peers} <= set(got)

    def test_a_half_that_the_store_holds_is_exported_as_it_is(self) -> None:
        half, _ = write_together(MemoryStore(SetClock()), ["notes-a", "notes-b"])
        store = MemoryStore(SetClock())
        store.put([half])
        assert decoded(exported(store)) == [half]


class TestUnclosedExport:
    """As a release wrote it whose export did not look for the peers."""

    @pytest.mark.parametrize("source", [io.BytesIO, piped])
    def test_it_is_told_at_every_import(self, source: Callable[[bytes], BinaryIO]) -> None:
        store = filled([(["notes-a", "notes-b"], "1"), (["notes-b", "notes-c"], "2")])
        old = [c for c in store.scan() if (c.stream, c.first) != ("notes-b", 2)]
        data = ended([encode(c) for c in old])
        target = MemoryStore(SetClock())
        for _ in range(2):
            with pytest.raises(HistoryBroken, match=r"notes-b version 2 .* export is not closed"):
                import_events(target, source(data))
            assert len(everything(target)) == len(old)
        import_events(target, source(exported(store)))
        assert import_events(target, source(data)) == Imported(0, len(old))

    def test_the_other_half_must_be_the_one_that_was_named(self) -> None:
        half, _ = write_together(MemoryStore(SetClock()), ["notes-a", "notes-b"])
        target = MemoryStore(SetClock())
        write(target, "notes-b", "something else")
        with pytest.raises(HistoryBroken, match="notes-b version 1 "):
            import_events(target, piped(ended([encode(half)])))
