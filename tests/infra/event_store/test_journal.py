"""The journal: whatever dies, and whenever, no acknowledged commit is lost."""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commit import Append, Commit, verify_chain
from domain.errors import Conflict, Invalid, Unavailable
from infra.event_store.journal import Journal, JournaledStore, JournalInUse
from infra.event_store.lines import encode
from infra.event_store.memory import MemoryStore
from infra.event_store.replay import commits, merge, restore
from tests.infra.event_store.notebook import (
    NOTES,
    Noted,
    SetClock,
    new_meta,
    write,
    write_together,
)


def hashes(directory: Path) -> set[bytes]:
    return {c.hash for c in commits(directory)}


def journaled(store: MemoryStore, directory: Path, name: str = "api") -> JournaledStore:
    return JournaledStore(store, Journal(directory, name), SetClock())


class TestFile:
    def test_commits_survive_a_restart(self, tmp_path: Path) -> None:
        store = MemoryStore(SetClock())
        with Journal(tmp_path, "api") as journal:
            first = write(JournaledStore(store, journal, SetClock()), "notes-a", "1")
        with Journal(tmp_path, "api") as journal:
            second = write(JournaledStore(store, journal, SetClock()), "notes-a", "2")
        assert [c.hash for c in commits(tmp_path)] == [first.hash, second.hash]

    @pytest.mark.parametrize("torn", [b'{"kind":"comm', b"\x00" * 70_000])
    def test_a_torn_last_line_is_left_out_and_cut_off(self, tmp_path: Path, torn: bytes) -> None:
        store = journaled(MemoryStore(SetClock()), tmp_path)
        first = write(store, "notes-a", "1")
        store._journal.close()
        with store._journal.path.open("ab") as file:
            file.write(torn)
        assert hashes(tmp_path) == {first.hash}
        again = JournaledStore(store._store, Journal(tmp_path, "api"), SetClock())
        second = write(again, "notes-a", "2")
        assert hashes(tmp_path) == {first.hash, second.hash}

    def test_a_broken_line_elsewhere_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        store = journaled(MemoryStore(SetClock()), tmp_path)
        for text in "abc":
            write(store, "notes-a", text)
        lines = store._journal.path.read_bytes().splitlines(keepends=True)
        store._journal.path.write_bytes(lines[0] + lines[1][:40] + b"\n" + lines[2])
        with pytest.raises(Invalid, match=r"api\.jsonl line 2"):
            list(commits(tmp_path))

    def test_a_file_belongs_to_one_living_process(self, tmp_path: Path) -> None:
        with Journal(tmp_path, "api"):
            with pytest.raises(JournalInUse, match="running process"):
                Journal(tmp_path, "api")
            Journal(tmp_path, "worker").close()
            with pytest.raises(JournalInUse):
                merge(tmp_path)
            with pytest.raises(JournalInUse):
                restore(tmp_path, MemoryStore(SetClock()))
        Journal(tmp_path, "api").close()

    @pytest.mark.parametrize("name", ["", "merged", "../x", "A b"])
    def test_a_name_is_a_plain_word(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match="does not name a journal"):
            Journal(tmp_path, name)

    def test_threads_that_wait_together_share_an_fsync(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        syncs = []

        def slow_fsync(fd: int) -> None:
            time.sleep(0.01)
            syncs.append(fd)

        store = journaled(MemoryStore(SetClock()), tmp_path)
        monkeypatch.setattr(os, "fsync", slow_fsync)
        with ThreadPoolExecutor(8) as pool:
            written = list(pool.map(lambda n: write(store, f"notes-{n}", "x").hash, range(64)))
        assert set(written) == hashes(tmp_path)
        assert len(syncs) <= 32


class TestFullDisk:
    @pytest.fixture
    def disk(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Half of a write fits, then none."""
        real = os.write

        class Disk:
            error: int | None = errno.ENOSPC
            partial = True

        def full_write(fd: int, data: Any) -> int:
            if Disk.error is None:
                return real(fd, data)
            if Disk.partial:
                Disk.partial = False
                return real(fd, bytes(data)[: len(data) // 2])
            raise OSError(Disk.error, os.strerror(Disk.error))

        monkeypatch.setattr(os, "write", full_write)
        return Disk

    def test_nothing_is_acknowledged_and_nothing_is_torn(self, tmp_path: Path, disk: Any) -> None:
        memory = MemoryStore(SetClock())
        store = journaled(memory, tmp_path)
        disk.error = None
        kept = write(store, "notes-b", "before")
        disk.error = errno.ENOSPC
        with pytest.raises(Unavailable, match="No room left on the disk"):
            write(store, "notes-a", "1")
        assert hashes(tmp_path) == {kept.hash}
        with pytest.raises(Unavailable):
            store.load(NOTES, "notes-a")
        disk.error = None
        # The commit stands in the emulator all the same; building on it journals it first.
        second = write(store, "notes-a", "2")
        assert second.first == 2
        assert [(c.stream, c.first) for c in commits(tmp_path)] == [
            ("notes-b", 1),
            ("notes-a", 1),
            ("notes-a", 2),
        ]

    def test_any_other_failure_closes_the_journal_for_good(self, tmp_path: Path, disk: Any) -> None:
        store = journaled(MemoryStore(SetClock()), tmp_path)
        disk.error = errno.EIO
        with pytest.raises(Unavailable, match="restart the process"):
            write(store, "notes-a", "1")
        disk.error = None
        with pytest.raises(Unavailable, match="restart the process"):
            write(store, "notes-b", "1")


class Killed(BaseException):
    """The process ends here."""


class Mortal(Journal):
    """A journal whose process is killed before its next write, or when a part of it is done."""

    doomed = False
    part = 0.0

    def write(self, commits: Any) -> None:
        if self.doomed:
            data = b"".join(encode(c) for c in commits)
            os.write(self._fd, data[: int(len(data) * self.part)])
            raise Killed
        super().write(commits)


class TestCrashBetweenPutAndFsync:
    def test_who_builds_on_such_a_commit_journals_it_and_its_peer(self, tmp_path: Path) -> None:
        memory = MemoryStore(SetClock())
        dying = Mortal(tmp_path, "api")
        api = JournaledStore(memory, dying, SetClock())
        worker = journaled(memory, tmp_path, "worker")
        before = write(api, "notes-a", "acknowledged")
        dying.doomed = True
        with pytest.raises(Killed):
            write_together(api, ["notes-a", "notes-b"])
        assert hashes(tmp_path) == {before.hash}
        after = write(worker, "notes-a", "built on it")
        assert after.first == 3
        assert hashes(tmp_path) == {c.hash for c in memory.scan()}

    def test_an_answer_without_events_relies_on_it_too(self, tmp_path: Path) -> None:
        memory = MemoryStore(SetClock())
        dying = Mortal(tmp_path, "api")
        dying.doomed = True
        with pytest.raises(Killed):
            write(JournaledStore(memory, dying, SetClock()), "notes-a", "job accepted?")
        # Another process answers "yes, it exists": from then on it must not be lost.
        assert journaled(memory, tmp_path, "api-2").load(NOTES, "notes-a").version == 1
        assert hashes(tmp_path) == {c.hash for c in memory.scan()}

    def test_a_stale_tip_in_hand_is_journaled_by_the_append(self, tmp_path: Path) -> None:
        memory = MemoryStore(SetClock())
        write(memory, "notes-a", "unjournaled")
        store = journaled(memory, tmp_path)
        store.append([Append(memory.load(NOTES, "notes-a"), [Noted("on it")])], new_meta())
        assert [c.first for c in commits(tmp_path)] == [1, 2]

    def test_a_retry_journals_the_commit_that_stands(self, tmp_path: Path) -> None:
        memory, clock = MemoryStore(SetClock()), SetClock()
        dying = Mortal(tmp_path, "api")
        loaded, meta = memory.load(NOTES, "notes-a"), new_meta()
        dying.doomed = True
        with pytest.raises(Killed):
            JournaledStore(memory, dying, clock).append([Append(loaded, [Noted("x")])], meta)
        clock.time += 50
        store = JournaledStore(memory, Journal(tmp_path, "api-2"), clock)
        returned = store.append([Append(loaded, [Noted("x")])], meta)
        assert returned == list(memory.scan())
        assert hashes(tmp_path) == {c.hash for c in returned}

    @settings(max_examples=100)
    @given(
        known=st.sampled_from([1, 100]),
        steps=st.lists(
            st.tuples(
                st.integers(0, 2),
                st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
                st.sampled_from(["live", "die", "tear", "look", "ask", "lose"]),
                st.floats(0.0, 1.0),
            ),
            min_size=4,
            max_size=24,
        ),
    )
    def test_any_interleaving_of_processes_deaths_and_lost_emulators(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        known: int,
        steps: list[tuple[int, list[str], str, float]],
    ) -> None:
        directory = tmp_path_factory.mktemp("journal")
        clock = SetClock()
        memory = MemoryStore(clock)

        def born(process: int) -> JournaledStore:
            return JournaledStore(memory, Mortal(directory, f"p{process}"), clock, known)

        alive = [born(n) for n in range(3)]
        acknowledged: set[bytes] = set()
        for process, streams, fate, part in steps:
            store = alive[process]
            journal = cast("Mortal", store._journal)
            if fate == "lose":
                # Everything is killed; what comes back is what the journals hold.
                for each in alive:
                    each._journal.close()
                merge(directory)
                memory = MemoryStore(clock)
                restore(directory, memory)
                alive = [born(n) for n in range(3)]
            elif fate in {"die", "tear"}:
                appends = [Append(store.load(NOTES, s), [Noted("x")]) for s in streams]
                journal.doomed, journal.part = True, part if fate == "tear" else 0.0
                with pytest.raises(Killed):
                    store.append(appends, new_meta())
                journal.close()
                alive[process] = born(process)
            elif fate == "look":
                found = store.load(NOTES, streams[0]).tip.last
                acknowledged |= {found.hash} if found else set()
            elif fate == "ask":
                # part: what the asker has seen already.
                seen = int(part * len(list(memory.read(streams[0]))))
                acknowledged |= {c.hash for c in store.read(streams[0], seen)}
            else:
                acknowledged |= {c.hash for c in write_together(store, streams)}
            self._check(directory, acknowledged)

    def _check(self, directory: Path, acknowledged: set[bytes]) -> None:
        found = list(commits(directory))
        assert acknowledged <= {c.hash for c in found}
        places = {(c.stream, c.first) for c in found}
        by_stream: dict[str, list[Commit]] = {}
        for commit in found:
            by_stream.setdefault(commit.stream, []).append(commit)
            assert {(p.stream, p.first) for p in commit.peers} <= places
        for history in by_stream.values():
            verify_chain(history)


def test_a_conflict_is_passed_on_and_nothing_is_journaled(tmp_path: Path) -> None:
    memory = MemoryStore(SetClock())
    store = journaled(memory, tmp_path)
    stale = store.load(NOTES, "notes-a")
    first = write(store, "notes-a", "1")
    with pytest.raises(Conflict):
        store.append([Append(stale, [Noted("2")])], new_meta())
    assert hashes(tmp_path) == {first.hash}
    assert [c.first for c in store.newest_first("notes-a")] == [1]
    assert [c.first for c in store.read("notes-a")] == [1]
    assert [c.first for c in store.scan()] == [1]
