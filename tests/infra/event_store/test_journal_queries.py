"""What a query was answered from stands after a power cut."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from domain.commit import Commit
from domain.errors import Unavailable
from infra.event_store.journal import JournaledStore
from infra.event_store.memory import MemoryStore
from tests.infra.event_store.notebook import SetClock, write, write_together
from tests.infra.event_store.test_journal import Killed, Mortal, hashes, journaled


@pytest.fixture
def memory(tmp_path: Path) -> MemoryStore:
    """What was acknowledged, then a transaction whose process died before its fsync."""
    memory = MemoryStore(SetClock())
    dying = Mortal(tmp_path, "worker")
    worker = JournaledStore(memory, dying, SetClock())
    write_together(worker, ["notes-a", "notes-b"])
    write(worker, "notes-a", "2")
    dying.doomed = True
    with pytest.raises(Killed):
        write_together(worker, ["notes-a", "notes-b"])
    assert len(hashes(tmp_path)) == 3
    return memory


@pytest.mark.parametrize("after", [-1, 0, 1, 2, 3, 9])
def test_a_read_journals_the_tip_and_its_peer(
    tmp_path: Path, memory: MemoryStore, after: int
) -> None:
    shown = list(journaled(memory, tmp_path, "api").read("notes-a", after))
    assert shown == list(memory.read("notes-a", after))
    assert hashes(tmp_path) == {c.hash for c in memory.scan()}


def test_who_reads_only_the_beginning_is_shown_what_stands(
    tmp_path: Path, memory: MemoryStore
) -> None:
    api = journaled(memory, tmp_path, "api")
    for number in range(3):
        reading = api.read("notes-a", page=1)
        for _ in range(number + 1):
            assert next(reading).hash in hashes(tmp_path)


def test_the_newest_commit_is_journaled_before_it_is_shown(
    tmp_path: Path, memory: MemoryStore
) -> None:
    api = journaled(memory, tmp_path, "api")
    assert next(api.newest_first("notes-b", page=1)).first == 2
    assert hashes(tmp_path) == {c.hash for c in memory.scan()}
    assert [c.first for c in api.newest_first("notes-a")] == [3, 2, 1]
    assert list(api.newest_first("notes-z")) == list(api.read("notes-z")) == []


def test_what_cannot_be_journaled_is_not_shown(
    tmp_path: Path, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = journaled(memory, tmp_path, "api")

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for reading in (api.read("notes-a"), api.newest_first("notes-a")):
        shown: list[Commit] = []
        with pytest.raises(Unavailable, match="No room left"):
            shown.extend(reading)
        assert 3 not in [c.first for c in shown]


def test_what_is_known_to_stand_is_not_written_again(tmp_path: Path, memory: MemoryStore) -> None:
    api = journaled(memory, tmp_path, "api")
    write_together(api, ["notes-a", "notes-c"])
    size = api._journal.path.stat().st_size
    for after in (0, 3, 4):
        list(api.read("notes-a", after))
    list(api.newest_first("notes-c"))
    list(api.scan())
    assert api._journal.path.stat().st_size == size
