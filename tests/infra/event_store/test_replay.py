"""Merging and restoring the journal, and a writer killed for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from domain.commit import Commit
from domain.errors import HistoryBroken, Invalid
from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.importer import Imported
from infra.event_store.journal import Journal, JournaledStore
from infra.event_store.lines import encode
from infra.event_store.memory import MemoryStore
from infra.event_store.replay import commits, merge, restore
from infra.local.emulator import Emulator
from tests.infra.event_store.notebook import (
    NOTES,
    SetClock,
    write,
    write_together,
)
from tests.infra.event_store.test_journal import Killed, hashes, journaled


class TestMerge:
    def fill(self, directory: Path) -> set[bytes]:
        memory = MemoryStore(SetClock())
        stores = [journaled(memory, directory, name) for name in ("api", "worker")]
        for number in range(6):
            write_together(stores[number % 2], ["notes-a", "notes-b"])
        for store in stores:
            store._journal.close()
        return {c.hash for c in memory.scan()}

    def test_one_ordered_file_remains(self, tmp_path: Path) -> None:
        wanted = self.fill(tmp_path)
        end = merge(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["merged.jsonl"]
        assert (end.commits, end.streams) == (12, 2)
        assert hashes(tmp_path) == wanted
        once = (tmp_path / "merged.jsonl").read_bytes()
        merge(tmp_path)
        assert (tmp_path / "merged.jsonl").read_bytes() == once

    def test_an_empty_directory_merges(self, tmp_path: Path) -> None:
        assert merge(tmp_path / "new").commits == 0

    def test_a_crash_before_the_old_files_go_loses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = self.fill(tmp_path)

        def crash(*_: Any) -> None:
            raise Killed

        for name in ("replace", "unlink"):
            with monkeypatch.context() as patch:
                patch.setattr(Path, name, crash)
                with pytest.raises(Killed):
                    merge(tmp_path)
            assert hashes(tmp_path) == wanted
        merge(tmp_path)
        assert hashes(tmp_path) == wanted

    def test_two_commits_at_one_place_are_never_chosen_between(self, tmp_path: Path) -> None:
        for name in ("api", "worker"):
            store = journaled(MemoryStore(SetClock()), tmp_path, name)
            write(store, "notes-a", name)
            store._journal.close()
        with pytest.raises(HistoryBroken, match=r"notes-a version 1: .* hold different commits"):
            merge(tmp_path)
        assert len(list(tmp_path.glob("*.jsonl"))) == 2

    def test_a_cut_merged_file_is_an_error(self, tmp_path: Path) -> None:
        self.fill(tmp_path)
        merge(tmp_path)
        file = tmp_path / "merged.jsonl"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:-1]))
        with pytest.raises(Invalid, match="it is cut"):
            merge(tmp_path)

    def test_restore_writes_what_is_lacking_and_only_that(
        self, tmp_path: Path, emulator: Emulator, table: str
    ) -> None:
        wanted = self.fill(tmp_path)
        store = DynamoDBStore(emulator.access.client("dynamodb"), table, SetClock())
        assert restore(tmp_path, store) == Imported(12, 0)
        assert {c.hash for c in store.scan()} == wanted
        assert {c.origin for c in store.scan()} == {"journal"}
        write(store, "notes-a", "unjournaled")
        assert restore(tmp_path, store) == Imported(0, 12)

    def test_what_came_from_another_stage_keeps_its_mark(self, tmp_path: Path) -> None:
        """Else a power cut would wake the open jobs of the other stage."""
        lived = MemoryStore(SetClock())
        write(lived, "notes-a", "moved here")
        (commit,) = lived.read("notes-a")
        with Journal(tmp_path, "api") as journal:
            journal.write([structs.replace(commit, origin="import")])
        restored = MemoryStore(SetClock())
        restore(tmp_path, restored)
        assert [c.origin for c in restored.read("notes-a")] == ["import"]

    def test_restore_refuses_another_history(self, tmp_path: Path) -> None:
        self.fill(tmp_path)
        memory = MemoryStore(SetClock())
        write(memory, "notes-a", "other")
        with pytest.raises(HistoryBroken, match="another history"):
            restore(tmp_path, memory)


class TestHalves:
    """Of a transaction that a power cut tore, all is restored or nothing."""

    def file(self, directory: Path, name: str, lines: Sequence[Commit]) -> None:
        (directory / f"{name}.jsonl").write_bytes(b"".join(encode(c) for c in lines))

    def wholes(self, directory: Path) -> set[tuple[str, int]]:
        return {(c.stream, c.first) for c in commits(directory)}

    def test_a_write_torn_anywhere(self, tmp_path: Path) -> None:
        store = journaled(MemoryStore(SetClock()), tmp_path)
        before = {c.hash for c in write_together(store, ["notes-a", "notes-b"])}
        path = store._journal.path
        start = path.stat().st_size
        last = {c.hash for c in write_together(store, ["notes-a", "notes-b", "notes-c"])}
        store._journal.close()
        whole = path.read_bytes()
        for cut in range(start, len(whole)):
            path.write_bytes(whole[:cut])
            assert hashes(tmp_path) == before, cut
        memory = MemoryStore(SetClock())
        assert merge(tmp_path).commits == 2
        assert restore(tmp_path, memory) == Imported(2, 0)
        path.write_bytes(whole)
        assert hashes(tmp_path) == before | last

    def test_a_half_is_whole_when_another_process_journaled_the_other(self, tmp_path: Path) -> None:
        a, b = write_together(MemoryStore(SetClock()), ["notes-a", "notes-b"])
        self.file(tmp_path, "api", [a])
        assert self.wholes(tmp_path) == set()
        self.file(tmp_path, "worker", [b])
        assert self.wholes(tmp_path) == {("notes-a", 1), ("notes-b", 1)}

    def test_what_is_left_out_makes_halves_of_others(self, tmp_path: Path) -> None:
        memory = MemoryStore(SetClock())
        kept = write(memory, "notes-a", "kept")
        below = write_together(memory, ["notes-a", "notes-b"])
        torn = write_together(memory, ["notes-a", "notes-c", "notes-d"])
        other = write(memory, "notes-e", "kept too")
        self.file(tmp_path, "api", [kept, below[0], torn[0], torn[1], other])
        assert self.wholes(tmp_path) == {("notes-a", 1), ("notes-e", 1)}

    def test_what_others_were_built_on_stays(self, tmp_path: Path) -> None:
        memory = MemoryStore(SetClock())
        half, _ = write_together(memory, ["notes-a", "notes-b"])
        self.file(tmp_path, "api", [half, write(memory, "notes-a", "built on it")])
        assert self.wholes(tmp_path) == {("notes-a", 1), ("notes-a", 2)}

    def test_a_half_from_another_stage_stays_through_restores_and_merges(
        self, tmp_path: Path
    ) -> None:
        half, _ = write_together(MemoryStore(SetClock()), ["notes-a", "notes-b"])
        self.file(tmp_path, "api", [structs.replace(half, origin="stage")])
        memory = MemoryStore(SetClock())
        for name in ("api", "worker", "zebra"):
            merge(tmp_path)
            memory = MemoryStore(SetClock())
            assert restore(tmp_path, memory) == Imported(1, 0)
            # Journaled again as it stands in the emulator: with the origin of a restore.
            with Journal(tmp_path, name) as journal:
                JournaledStore(memory, journal, SetClock()).load(NOTES, "notes-a")
            assert self.wholes(tmp_path) == {("notes-a", 1)}
        merge(tmp_path)
        assert [c.origin for c in commits(tmp_path)] == ["stage"]

    def test_a_restored_half_is_left_out(self, tmp_path: Path) -> None:
        half, _ = write_together(MemoryStore(SetClock()), ["notes-a", "notes-b"])
        self.file(tmp_path, "api", [structs.replace(half, origin="journal")])
        assert self.wholes(tmp_path) == set()


WRITER = """
import sys
from pathlib import Path
from infra.event_store.journal import Journal, JournaledStore
from infra.event_store.memory import MemoryStore
from infra.event_store.replay import restore
from tests.infra.event_store.notebook import SetClock, write_together

directory, clock = Path(sys.argv[1]), SetClock()
memory = MemoryStore(clock)
restore(directory, memory)
store = JournaledStore(memory, Journal(directory, sys.argv[2]), clock)
while True:
    for commit in write_together(store, ["notes-a", "notes-b"], "x" * 3000):
        sys.stdout.write(commit.hash.hex() + "\\n")
    sys.stdout.flush()
"""


def test_kill_9_at_any_moment_loses_no_acknowledged_commit(tmp_path: Path) -> None:
    acknowledged: set[bytes] = set()
    for round_ in range(6):
        command = [sys.executable, "-c", WRITER, str(tmp_path), "api"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            told = [writer.stdout.readline() for _ in range(20)]
            timer = threading.Timer(0.013 * round_, writer.send_signal, (signal.SIGKILL,))
            timer.start()
            told += writer.stdout.readlines()
            timer.join()
        whole = [line for line in told if line.endswith(b"\n")]
        assert len(whole) >= 20
        acknowledged |= {bytes.fromhex(line.decode().strip()) for line in whole}
        assert acknowledged <= hashes(tmp_path)
        if round_ % 2:
            merge(tmp_path)
