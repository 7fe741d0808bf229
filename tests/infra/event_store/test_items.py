"""Items of the events table that somebody damaged by hand."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commit import Commit, verify_chain
from domain.errors import HistoryBroken
from infra.event_store.dynamodb import from_item, to_item

COMMIT = Commit(
    stream="job-1", first=1, last=1, types=("Noted",), events='[{"type":"Noted"}]', cmd="cmd_1",
    t=7, actor="a", corr="c", cause="d",
).sealed()  # fmt: skip


def test_a_commit_is_what_its_item_says() -> None:
    assert from_item(to_item(COMMIT)) == COMMIT


@pytest.mark.parametrize("name", sorted(to_item(COMMIT).keys() - {"stream_id", "seq", "n"}))
def test_a_missing_attribute_shows_as_a_break_that_names_the_place(name: str) -> None:
    item = to_item(COMMIT)
    del item[name]
    with pytest.raises(HistoryBroken, match="job-1 version 1"):
        verify_chain([from_item(item)])


@pytest.mark.parametrize("value", [{"S": "["}, {"N": "1.5"}, {"B": b"\xff"}, {"NULL": True}])
@pytest.mark.parametrize("name", sorted(to_item(COMMIT).keys() - {"stream_id", "seq", "n"}))
def test_an_attribute_of_another_kind_shows_so_too(name: str, value: dict[str, Any]) -> None:
    item = to_item(COMMIT) | {name: value}
    with pytest.raises(HistoryBroken, match="job-1 version 1"):
        verify_chain([from_item(item)])


def test_peers_and_places_that_are_none() -> None:
    peers = from_item(to_item(COMMIT) | {"peers": {"S": "[[1]]"}})
    with pytest.raises(HistoryBroken, match="job-1 version 1"):
        verify_chain([peers])
    between = from_item(to_item(COMMIT) | {"seq": {"N": "1.5"}})
    with pytest.raises(HistoryBroken, match="job-1 version 1"):
        verify_chain([COMMIT, between])
    odd = from_item(to_item(COMMIT) | {"snap": {"N": "1"}, "origin": {"B": b""}})
    assert (odd.snapshot, odd.origin) == (None, None)
