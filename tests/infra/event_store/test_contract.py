"""What every commit store promises, asked of each of them."""

from __future__ import annotations

import pytest
from msgspec import Struct

from domain.aggregate import Aggregate
from domain.commit import Append, verify_chain
from domain.errors import CommitTooLarge, Conflict
from infra.event_store.store import SNAPSHOT_COMMITS, CommitStore, StreamTaken
from tests.infra.event_store.notebook import (
    NOTES,
    Notebook,
    Noted,
    SetClock,
    new_meta,
    new_stream,
    write,
    write_together,
)


def test_a_stream_that_does_not_exist_is_empty(store: CommitStore) -> None:
    loaded = store.load(NOTES, new_stream())
    assert (loaded.version, loaded.state, loaded.tip.last) == (0, Notebook(), None)
    assert list(store.read(new_stream())) == []


def test_what_is_appended_is_loaded(store: CommitStore) -> None:
    stream = new_stream()
    write(store, stream, "a", "b")
    last = write(store, stream, "é\u0000🎵")
    loaded = store.load(NOTES, stream)
    assert (loaded.version, loaded.state) == (3, Notebook(3, "é\u0000🎵"))
    assert loaded.tip.last == last
    assert [(c.first, c.last, c.types) for c in store.read(stream)] == [
        (1, 2, ("Noted",)),
        (3, 3, ("Noted",)),
    ]


def test_every_commit_comes_back_as_it_was_returned(store: CommitStore) -> None:
    streams = [new_stream(), new_stream()]
    written = write_together(store, streams)
    assert [next(store.read(s)) for s in streams] == written


def test_a_snapshot_rides_on_every_sixteenth_commit(store: CommitStore) -> None:
    stream = new_stream()
    for number in range(2 * SNAPSHOT_COMMITS + 1):
        write(store, stream, str(number))
        assert store.load(NOTES, stream).state == Notebook(number + 1, str(number))
    carrying = [c.first for c in store.read(stream) if c.snapshot]
    assert carrying == [SNAPSHOT_COMMITS, 2 * SNAPSHOT_COMMITS]


def test_a_snapshot_comes_early_when_commits_are_large(store: CommitStore) -> None:
    stream = new_stream()
    for _ in range(8):
        write(store, stream, "x" * 2500)
    assert [c.first for c in store.read(stream) if c.snapshot] == [3, 6]
    assert store.load(NOTES, stream).state.lines == 8


class Wider(Struct):
    """Tomorrow's shape of the same state."""

    lines: int = 0
    last: str = ""


def _evolve_wider(state: Wider, event: Noted) -> Wider:
    state.lines += 1
    state.last = event.text
    return state


def test_a_snapshot_of_another_shape_is_ignored(store: CommitStore) -> None:
    stream = new_stream()
    for number in range(SNAPSHOT_COMMITS + 3):
        write(store, stream, str(number))
    wider = Aggregate("notes", (Noted,), Wider, _evolve_wider)
    loaded = store.load(wider, stream)
    assert loaded.state == Wider(SNAPSHOT_COMMITS + 3, str(SNAPSHOT_COMMITS + 2))
    [commit] = store.append([Append(loaded, [Noted("new")])], new_meta())
    assert wider.restore(commit.snapshot) is not None


def test_reading_as_of_a_version_and_after_one(store: CommitStore) -> None:
    stream = new_stream()
    for texts in ("ab", "c", "def", "g"):
        write(store, stream, *texts)
    assert [c.first for c in store.newest_first(stream)] == [7, 4, 3, 1]
    assert [c.first for c in store.newest_first(stream, upto=5, page=1)] == [4, 3, 1]
    assert [c.first for c in store.newest_first(stream, upto=3)] == [3, 1]
    assert [c.first for c in store.read(stream, after=1, page=1)] == [3, 4, 7]
    assert [c.first for c in store.read(stream, after=7)] == []


def test_of_two_writers_on_one_tip_the_second_is_told(store: CommitStore) -> None:
    stream = new_stream()
    write(store, stream, "before")
    mine, theirs = store.load(NOTES, stream), store.load(NOTES, stream)
    store.append([Append(theirs, [Noted("theirs")])], new_meta())
    with pytest.raises(StreamTaken, match="moved on past version 1"):
        store.append([Append(mine, [Noted("mine")])], new_meta())
    assert store.load(NOTES, stream).state == Notebook(2, "theirs")


def test_the_same_words_of_another_command_are_a_conflict(store: CommitStore) -> None:
    loaded = store.load(NOTES, new_stream())
    store.append([Append(loaded, [Noted("same")])], new_meta())
    with pytest.raises(Conflict):
        store.append([Append(loaded, [Noted("same")])], new_meta())


def test_a_command_sent_again_gets_what_its_first_try_wrote(
    store: CommitStore, clock: SetClock
) -> None:
    loaded, meta = store.load(NOTES, new_stream()), new_meta()
    first = store.append([Append(loaded, [Noted("once")])], meta)
    clock.time += 5
    assert store.append([Append(loaded, [Noted("once")])], meta) == first
    assert len(list(store.read(loaded.tip.stream))) == 1


def test_a_transaction_sent_again_gets_what_its_first_try_wrote(
    store: CommitStore, clock: SetClock
) -> None:
    appends = [Append(store.load(NOTES, new_stream()), [Noted("once")]) for _ in range(2)]
    meta = new_meta()
    first = store.append(appends, meta)
    clock.time += 5
    assert store.append(appends, meta) == first


def test_two_streams_commit_together_and_name_each_other(store: CommitStore) -> None:
    streams = [new_stream(), new_stream()]
    a, b = write_together(store, streams)
    assert (a.peers, b.peers) == ((b.as_peer(),), (a.as_peer(),))
    assert a.intact()
    assert b.intact()


def test_two_streams_commit_not_at_all_when_one_moved_on(store: CommitStore) -> None:
    streams = [new_stream(), new_stream()]
    appends = [Append(store.load(NOTES, s), [Noted("both")]) for s in streams]
    write(store, streams[1], "first")
    with pytest.raises(StreamTaken):
        store.append(appends, new_meta())
    assert [store.load(NOTES, s).version for s in streams] == [0, 1]


def test_three_hundred_kilobytes_are_the_limit(store: CommitStore) -> None:
    stream = new_stream()
    room = 300 * 1024 - len('[{"type":"Noted","text":""}]')
    with pytest.raises(CommitTooLarge, match="Split the command"):
        write(store, stream, "x" * (room + 1))
    write(store, stream, "x" * room)
    write(store, stream, "after")
    assert store.load(NOTES, stream).state.lines == 2


def test_a_snapshot_counts_in_bytes_not_characters(store: CommitStore) -> None:
    # 75,000 four-byte characters: events and state together do not fit an item.
    stream = new_stream()
    write(store, stream, "🎵" * 75_000)
    write(store, stream, "🎵" * 75_000)
    assert store.load(NOTES, stream).state.lines == 2


def test_time_never_goes_backwards_in_a_stream(store: CommitStore, clock: SetClock) -> None:
    stream = new_stream()
    for now in (500, 900, 100, 950):
        clock.time = now
        write(store, stream, "x")
    assert [c.t for c in store.read(stream)] == [500, 900, 900, 950]
    verify_chain(store.read(stream))


def test_a_scan_gives_each_stream_together_and_in_order(store: CommitStore) -> None:
    streams = [new_stream() for _ in range(5)]
    for _ in range(4):
        for stream in streams:
            write(store, stream, "x" * 50_000)  # more than one page of a megabyte
    for segments in (1, 3):
        seen = [c for part in range(segments) for c in store.scan(part, segments)]
        order = list(dict.fromkeys(c.stream for c in seen))
        assert sorted(order) == sorted(streams)
        assert [(c.stream, c.first) for c in seen] == [(s, n) for s in order for n in (1, 2, 3, 4)]


def test_nothing_is_dropped_past_a_megabyte(store: CommitStore) -> None:
    # aett-dynamodb stops at the first page.
    stream = new_stream()
    for number in range(9):
        write(store, stream, str(number) * 250_000)
    assert verify_chain(store.read(stream)).version == 9
    assert len(list(store.newest_first(stream))) == 9
    assert len(list(store.scan())) == 9


def test_history_is_never_overwritten(store: CommitStore) -> None:
    # eventsourcing-dynamodb puts without a condition: the last writer replaces what stood there.
    stream = new_stream()
    stale = store.load(NOTES, stream)
    before = write(store, stream, "first")
    with pytest.raises(StreamTaken):
        store.append([Append(stale, [Noted("replaced")])], new_meta())
    assert list(store.read(stream)) == [before]
