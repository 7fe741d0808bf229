"""Items of the events table that somebody damaged by hand."""

from __future__ import annotations

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
