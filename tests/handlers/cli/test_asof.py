from __future__ import annotations

import msgspec
import pytest

from domain.commit import Commit
from handlers.asof import parse, upto

NOW = 1_795_450_000_000  # 2026-11-23T16:06:40Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("90s", NOW - 90_000),
        ("5m", NOW - 300_000),
        ("2h ago", NOW - 7_200_000),
        ("1d", NOW - 86_400_000),
        ("2026-11-23T16:06:40Z", NOW - NOW % 1000),
        ("2026-11-23T16:06:40", NOW),
        ("2026-11-23T17:06:40+01:00", NOW),
        ("2026-11-23 16:06:40.123", NOW + 123),
        ("2026-11-22", NOW - (16 * 3600 + 6 * 60 + 40) * 1000 - 1),
    ],
)
def test_a_time_can_be_said_in_several_ways(text: str, expected: int) -> None:
    assert parse(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "5", "5 weeks", "2026-13-01", "2026-11-23T99", "999999999d"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, NOW)


def test_a_stream_as_of_a_time_ends_with_the_commit_made_then() -> None:
    first = Commit(stream="job-1", first=1, last=1, types=("A",), events="[]", cmd="c", t=1000)
    commits = [msgspec.structs.replace(first, first=n, last=n, t=n * 1000) for n in (1, 2, 2, 3)]
    assert [c.t for c in upto(commits, 2000)] == [1000, 2000, 2000]
    assert list(upto(commits, 999)) == []
    assert list(upto(commits, None)) == commits
