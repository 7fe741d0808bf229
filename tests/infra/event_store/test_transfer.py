"""Export and import: nothing lost, nothing doubled, nothing changed unnoticed."""

from __future__ import annotations

import hashlib
import io
import random
from contextlib import suppress
from typing import BinaryIO, cast

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commit import Commit, verify_chain
from domain.errors import HistoryBroken, Invalid, SplitSoundError
from infra.event_store import CommitRecorder
from infra.event_store.importer import Imported
from infra.event_store.lines import End, decode, encode, encode_end
from infra.event_store.memory import MemoryStore
from infra.event_store.store import CommitStore
from infra.event_store.transfer import export_events, import_events
from tests.infra.event_store.notebook import NOTES, SetClock, write, write_together

STREAMS = ("notes-a", "notes-b", "notes-c")

histories = st.lists(
    st.tuples(
        st.lists(st.sampled_from(STREAMS), min_size=1, max_size=3, unique=True),
        st.text(max_size=8),
    ),
    max_size=40,
)
History = list[tuple[list[str], str]]


def filled(history: History) -> MemoryStore:
    """A store with one transaction per step, and one binary stream."""
    clock = SetClock()
    store = MemoryStore(clock)
    for streams, text in history:
        clock.time += 7
        write_together(store, streams, text)
    CommitRecorder(store).insert_events([StoredEvent("binary", 0, "topic", b"\xff\x00")])
    return store


def exported(store: CommitStore) -> bytes:
    out = io.BytesIO()
    export_events(store, out)
    return out.getvalue()


def decoded(data: bytes) -> list[Commit]:
    """The commits of an export."""
    lines = [decode(line, "line") for line in data.splitlines()]
    return [line for line in lines if isinstance(line, Commit)]


def everything(store: CommitStore) -> dict[tuple[str, int], Commit]:
    """Every commit by place, without what an import changes."""
    return {
        (c.stream, c.first): msgspec.structs.replace(c, origin=None, snapshot=None)
        for c in store.scan()
    }


def ended(lines: list[bytes]) -> bytes:
    """A file of these lines with an end line that fits them."""
    body = b"".join(lines)
    return body + encode_end(End(1, len(lines), 0, hashlib.sha256(body).hexdigest()))


class Pipe(io.RawIOBase):
    """Bytes that can't be rewound."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._data.readline(-1 if size is None else size)


def piped(data: bytes) -> BinaryIO:
    return cast("BinaryIO", Pipe(data))


@given(histories)
@settings(max_examples=30)
def test_an_import_gives_the_same_commits_once(history: History) -> None:
    source, target = filled(history), MemoryStore(SetClock())
    data = exported(source)
    count = len(everything(source))
    assert import_events(target, io.BytesIO(data)) == Imported(count, 0)
    assert everything(target) == everything(source)
    assert {c.origin for c in target.scan()} == {"import"}
    assert import_events(target, piped(data)) == Imported(0, count)
    assert everything(target) == everything(source)


@given(histories, st.randoms(use_true_random=False), st.integers(0, 40))
@settings(max_examples=30)
def test_interleaved_streams_and_half_done_imports(
    history: History, chance: random.Random, done: int
) -> None:
    source, target = filled(history), MemoryStore(SetClock())
    waiting = {s: [encode(c) for c in source.read(s, after=-1)] for s in (*STREAMS, "binary")}
    lines = []
    while any(waiting.values()):
        lines.append(waiting[chance.choice([s for s in waiting if waiting[s]])].pop(0))
    with suppress(HistoryBroken):  # a part need not be closed
        import_events(target, io.BytesIO(ended(lines[:done])))
    import_events(target, io.BytesIO(ended(lines)), transaction=chance.choice([1, 7]))
    assert everything(target) == everything(source)


@given(histories, st.data())
@settings(max_examples=50)
def test_a_cut_file_is_noticed_and_the_whole_one_finishes_the_work(
    history: History, data: st.DataObject
) -> None:
    source, target = filled(history), MemoryStore(SetClock())
    whole = exported(source)
    cut = data.draw(st.integers(0, len(whole) - 2))
    with pytest.raises(Invalid, match="cut"):
        import_events(target, piped(whole[:cut]))
    with pytest.raises(Invalid):
        import_events(MemoryStore(SetClock()), io.BytesIO(whole[:cut]))
    import_events(target, io.BytesIO(whole))
    assert everything(target) == everything(source)


@given(histories, st.data())
@settings(max_examples=100)
def test_an_edited_byte_is_noticed_before_anything_is_written(
    history: History, data: st.DataObject
) -> None:
    source, target = filled(history), MemoryStore(SetClock())
    whole = bytearray(exported(source))
    place = data.draw(st.integers(0, len(whole) - 2))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SplitSoundError):
        import_events(target, io.BytesIO(bytes(whole)))
    assert everything(target) == {}


def test_errors_name_the_line() -> None:
    store = filled([(["notes-a"], str(n)) for n in range(5)])
    lines = exported(store).splitlines(keepends=True)
    edited = [*lines]
    edited[2] = edited[2].replace(b'\\"text\\":\\"2\\"', b'\\"text\\":\\"3\\"')
    assert edited[2] != lines[2]
    cases = [
        (b"".join(edited), HistoryBroken, "Line 3 was changed"),
        (b"not json\n", Invalid, "Line 1 is no commit"),
        (b'{"kind":"commit","v":2}\n', Invalid, "Line 1 has format version 2"),
        (lines[0] + lines[1].replace(b'"v":1', b'"v":9'), Invalid, "Line 2 has format version 9"),
        (b"".join(lines[:3]), Invalid, "after line 3 .* it is cut"),
        (lines[0] + lines[1][:50], Invalid, "Line 2 .* the file is cut"),
        (b"".join(lines[:2] + lines[3:]), Invalid, "the file was edited"),
        (b"".join([*lines, lines[0]]), Invalid, "Line 8 stands after the end"),
        (b"x" * 5_000_000, Invalid, "Line 1 is longer than any commit"),
        (b"", Invalid, "after line 0"),
    ]
    for data, error, message in cases:
        for source in (io.BytesIO(data), piped(data)):
            target = MemoryStore(SetClock())
            if source.seekable() or error is Invalid:
                with pytest.raises(error, match=message):
                    import_events(target, source)
                assert everything(target) == {}


def test_an_edited_line_in_a_pipe_is_named_too() -> None:
    store = filled([(["notes-a"], str(n)) for n in range(5)])
    data = exported(store).replace(b'\\"text\\":\\"2\\"', b'\\"text\\":\\"3\\"')
    target = MemoryStore(SetClock())
    with pytest.raises(SplitSoundError, match=r"Line \d"):
        import_events(target, piped(data))
    assert everything(target) == {}


@pytest.mark.parametrize("mine", [1, 3, 5, 8])
def test_another_history_of_a_stream_is_refused_whole(mine: int) -> None:
    source = filled([(["notes-a"], str(n)) for n in range(5)])
    target = MemoryStore(SetClock())
    for number in range(mine):
        write(target, "notes-a", f"other {number}")
    before = everything(target)
    for data in (io.BytesIO(exported(source)), piped(exported(source))):
        with pytest.raises(HistoryBroken, match="notes-a: the store has another history"):
            import_events(target, data)
        assert {p: c for p, c in everything(target).items() if p[0] == "notes-a"} == before


def test_a_commit_that_spans_the_stores_tip_is_another_history() -> None:
    source, target = MemoryStore(SetClock()), MemoryStore(SetClock())
    write(source, "notes-a", "1", "2", "3")
    write(target, "notes-a", "1")
    with pytest.raises(HistoryBroken, match="another history"):
        import_events(target, io.BytesIO(exported(source)))


def test_a_missing_commit_is_refused() -> None:
    store = filled([(["notes-a"], str(n)) for n in range(5)])
    lines = [encode(c) for c in store.read("notes-a")]
    with pytest.raises(HistoryBroken, match=r"Line 1: .*expected version 1"):
        import_events(MemoryStore(SetClock()), io.BytesIO(ended(lines[1:])))
    with pytest.raises(HistoryBroken, match=r"Line 3: .*a commit is missing"):
        import_events(MemoryStore(SetClock()), io.BytesIO(ended(lines[:2] + lines[3:])))


def test_an_export_of_a_broken_stream_stops() -> None:
    store = filled([(["notes-a"], "x")] * 3)
    store._streams["notes-a"].pop(1)
    with pytest.raises(HistoryBroken, match="expected version 2"):
        exported(store)


def test_a_state_can_be_written_on_after_an_import(store: CommitStore) -> None:
    source = filled([(["notes-a", "notes-b"], "x" * 500)] * 40)
    seen: list[int] = []
    import_events(store, io.BytesIO(exported(source)), "backup", seen.append)
    assert seen[-1] == 81
    write(store, "notes-a", "after")
    assert store.load(NOTES, "notes-a").state.lines == 41
    commits = list(store.read("notes-a"))
    verify_chain(commits)
    assert commits[0].peers[0].stream == "notes-b"
    assert [c.origin for c in commits] == ["backup"] * 40 + [None]
    assert [bool(c.snapshot) for c in commits] == [False] * 40 + [True]


def test_memory_is_bounded_by_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.event_store.transfer._BATCH_COMMITS", 4)
    source = filled([([s], str(n)) for n in range(9) for s in STREAMS])
    target = MemoryStore(SetClock())
    import_events(target, io.BytesIO(exported(source)))
    assert everything(target) == everything(source)


class TestChain:
    """The hash chain detects any commit that was changed, removed from the middle, reordered."""

    @given(st.integers(3, 8), st.data())
    @settings(max_examples=60)
    def test_it(self, count: int, data: st.DataObject) -> None:
        store = filled([(["notes-a", "notes-b"], f"t{n}") for n in range(count)])
        commits = list(store.read("notes-a"))
        verify_chain(commits)
        place = data.draw(st.integers(0, count - 2))
        change = data.draw(st.sampled_from(["remove", "swap", "repeat", *CHANGES]))
        if change == "remove":
            del commits[place]
        elif change == "swap":
            commits[place], commits[place + 1] = commits[place + 1], commits[place]
        elif change == "repeat":
            commits.insert(place, commits[place])
        else:
            commits[place] = msgspec.structs.replace(commits[place], **{change: CHANGES[change]})
        with pytest.raises(HistoryBroken):
            verify_chain(commits)


CHANGES: dict[str, object] = {
    "events": '[{"type":"Noted","text":"forged"}]',
    "types": ("Other",),
    "cmd": "cmd_other",
    "t": 10**9,
    "actor": "other",
    "corr": "other",
    "cause": "other",
    "prev": b"x" * 32,
    "hash": b"x" * 32,
    "peers": (),
    "stream": "notes-b",
    "first": 99,
    "last": 99,
}
