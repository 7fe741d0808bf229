"""Reads the recorded exports back, the way ``splitsound events import`` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from domain.aggregate import Recorded
from domain.aggregates import of_stream
from domain.commit import Commit, recorded, verify_chain
from infra.event_store.memory import MemoryStore
from infra.event_store.transfer import import_events
from projections.projection import Projection
from tests.world import StillClock

HERE = Path(__file__).parent
ROWS, SCHEMAS = HERE / "rows.json", HERE / "schemas.json"


def streams() -> dict[str, list[Commit]]:
    """Every recorded stream, its chain verified."""
    store = MemoryStore(StillClock())
    for path in sorted(HERE.glob("*.jsonl")):
        with path.open("rb") as source:
            import_events(store, source)
    by_stream: dict[str, list[Commit]] = {}
    for commit in store.scan():
        by_stream.setdefault(commit.stream, []).append(commit)
    for commits in by_stream.values():
        verify_chain(commits)
    return by_stream


def events(stream: str, commits: list[Commit]) -> Iterator[Recorded]:
    """What stands in a stream, in today's shapes."""
    yield from recorded(of_stream(stream), commits)


def tags(history: dict[str, list[Commit]]) -> set[str]:
    """The tag of every recorded event, as it was written."""
    return {
        event["type"]
        for commits in history.values()
        for commit in commits
        for event in msgspec.json.decode(commit.events)
    }


def rows(projection: Projection[Any], history: dict[str, list[Commit]]) -> dict[str, Any]:
    """By stream, what a projection shows of it: its view, index and lines, as plain JSON."""
    made: dict[str, Any] = {}
    for stream, commits in sorted(history.items()):
        if projection.covers(stream):
            view, lines = projection.view(), []
            for event in events(stream, commits):
                lines += projection.apply(view, event)
            made[stream] = {"view": view, "index": projection.index(view), "lines": lines}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return plain
