"""What a commit rings with, as far as rules route by it."""

from __future__ import annotations

import pytest

from domain.commit import Commit
from projections.doorbell import envelope, parse, ring


def commit(*types: str, events: str | bytes) -> Commit:
    return Commit(stream="job-1", first=1, last=1, types=types, events=events, cmd="c", t=1)


@pytest.mark.parametrize(
    ("types", "events", "lane"),
    [
        (["SeparationRequested"], '[{"type":"SeparationRequested","lane":"gpu-long"}]', "gpu-long"),
        (["SeparationRequeued"], '[{"type":"SeparationRequeued","lane":"short"}]', "short"),
        (["Noted", "SeparationRequeued"], '[{"type":"Noted"},{"lane":"long","free":1}]', "long"),
        (["SeparationRequested"], '[{"type":"SeparationRequested","model":"m"}]', ""),
        (["SeparationStarted"], '[{"type":"SeparationStarted","lane":"long"}]', ""),
        (["SeparationRequested"], b"not JSON", ""),
    ],
)
def test_the_lane_of_a_separation_stands_where_rules_see_it(
    types: list[str], events: str | bytes, lane: str
) -> None:
    bell = ring(commit(*types, events=events))
    assert bell.lane == lane
    assert parse(envelope(bell)).lane == lane
    assert ('"lane":""' in envelope(bell)) is False


def test_a_long_event_does_not_ride_but_its_lane_does() -> None:
    events = '[{"type":"SeparationRequested","lane":"long","source_key":"%s"}]' % ("k" * 20_000)
    bell = ring(commit("SeparationRequested", events=events))
    assert bytes(bell.events) == b"[]"
    assert bell.lane == "long"
