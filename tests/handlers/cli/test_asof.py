from __future__ import annotations

import msgspec
import pytest

from domain.commit import Commit
from handlers.asof import parse, upto
from infra.clock import stamp

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
    "text",
    [
        "", "yesterday", "5", "5 weeks", "2026-13-01", "2026-11-23T99", "999999999d", "99999d",
        "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00+01:00", "0001-01-01",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.9999999",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, NOW)


def test_the_first_and_the_last_moment() -> None:
    assert parse("1970-01-01T00:00:00Z", NOW) == 0
    assert stamp(parse("9999-12-31", NOW)).startswith("9999-12-31T23:59:59.99")


def test_a_stream_as_of_a_time_ends_with_the_commit_made_then() -> None:
    first = Commit(stream="job-1", first=1, last=1, types=("A",), events="[]", cmd="c", t=1000)
    commits = [msgspec.structs.replace(first, first=n, last=n, t=n * 1000) for n in (1, 2, 2, 3)]
    assert [c.t for c in upto(commits, 2000)] == [1000, 2000, 2000]
    assert list(upto(commits, 999)) == []
    assert list(upto(commits, None)) == commits
