"""What the benchmark of projections folds is what the read models show."""

from __future__ import annotations

import msgspec
import pytest

from handlers.bench import fold_speed, library_runner
from handlers.bench.fold_speed import History
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.folding import fold, piece


@pytest.fixture
def histories(monkeypatch: pytest.MonkeyPatch) -> list[History]:
    monkeypatch.setattr(fold_speed, "USERS", 3)
    commits = fold_speed.commits_of_users()
    return [fold_speed.history(p, commits) for p in (JOBS_VIEW, CREDITS_VIEW)]


def test_it_reaches_the_rows_that_the_projector_writes(histories: list[History]) -> None:
    for history in histories:
        views = fold_speed.follow(history)
        assert len(views) == len(history.streams)
        for stream in history.streams:
            view, version = views[stream[0].stream]
            row = fold(history.projection, "g", stream[0].stream, [piece(c) for c in stream]).head
            assert row is not None
            assert (row.version, row.body) == (version, msgspec.json.encode(view).decode())


def test_messages_come_twice_and_streams_are_interleaved(histories: list[History]) -> None:
    jobs = histories[0]
    assert len(jobs.messages) > sum(map(len, jobs.streams)) == jobs.events
    assert len({m.stream for m in jobs.messages[:10]}) > 5


def test_a_gap_is_noticed(histories: list[History]) -> None:
    jobs = histories[0]
    with pytest.raises(AssertionError, match="lacks version 2"):
        fold_speed.follow(History(jobs.projection, [], jobs.streams[0][::2], 0))


def test_the_library_follows_all_of_its_events() -> None:
    assert library_runner.from_memory(90) > 0
    assert library_runner.from_sqlite(90) > 0
