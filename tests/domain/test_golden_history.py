"""What past releases wrote is read, folded and shown for ever. See ``golden/__init__.py``."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

import projections
from domain.aggregate import Event
from domain.aggregates import BY_CATEGORY, of_stream
from domain.commit import Commit, recorded
from tests.domain.golden.history import ROWS, rows, streams, tags

RECORD = "run .venv/bin/python -m tests.domain.golden.record, and look at the diff"
History = dict[str, list[Commit]]


@pytest.fixture(scope="module")
def history() -> History:
    return streams()


def test_every_event_of_every_version_is_recorded(history: History) -> None:
    known = {str(e.__struct_config__.tag) for a in BY_CATEGORY.values() for e in a.events}
    missing = known - tags(history)
    assert not missing, f"tell a chapter with {sorted(missing)} (golden/chapters.py), then {RECORD}"


def test_no_field_of_a_stored_event_is_lost(history: History) -> None:
    for stream, commits in history.items():
        aggregate = of_stream(stream)
        for commit in commits:
            assert isinstance(commit.events, str)
            stored = msgspec.json.decode(commit.events, type=list[dict[str, Any]])
            for said, event in zip(stored, aggregate.decode(commit.events), strict=True):
                again = msgspec.json.decode(msgspec.json.encode(event), type=dict[str, Any])
                if again["type"] == said["type"]:  # else it was upcast
                    lost = {k: v for k, v in said.items() if again.get(k, ...) != v}
                    assert not lost, f"{stream}: {said['type']} loses {lost}"


def test_every_aggregate_folds_and_its_snapshot_is_the_same_state(history: History) -> None:
    for stream, commits in history.items():
        aggregate = of_stream(stream)
        state = aggregate.fold(each.event for each in recorded(aggregate, commits))
        assert aggregate.restore(aggregate.snapshot(state)) == state


@pytest.mark.parametrize("name", sorted(projections.ALL))
def test_rows_change_only_with_the_version_of_their_projection(name: str, history: History) -> None:
    projection = projections.ALL[name]
    known = json.loads(ROWS.read_text()).get(name)
    assert known is not None, f"{name} is not recorded yet: {RECORD}"
    same = rows(projection, history) == known["rows"]
    if projection.version == known["version"]:
        assert same, (
            f"{name} makes other rows of the same events, and its version is still "
            f"{projection.version}: raise it, so that operators rebuild; then {RECORD}"
        )
    raise_only = f"{name} is now version {projection.version}: {RECORD}"
    assert (projection.version, same) == (known["version"], True), raise_only


def test_only_the_newest_shapes_reach_a_fold(history: History) -> None:
    for stream, commits in history.items():
        for each in recorded(of_stream(stream), commits):
            assert type(each.event).upcast is Event.upcast
