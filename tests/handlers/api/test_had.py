"""What the ids of ``/v1/events`` promise: no change is missed, and an id stays short."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from handlers.api.events.had import BUCKETS, RECENT, Had, resumed

JOBS = st.dictionaries(st.integers(0, 80).map("job-{}".format), st.integers(1, 9), max_size=60)


def told(versions: dict[str, int]) -> Had:
    """A client that was told of all of these."""
    had = Had()
    for stream, version in versions.items():
        had.note(stream, version)
    return had


@given(JOBS, JOBS)
def test_no_change_is_missed(before: dict[str, int], changes: dict[str, int]) -> None:
    after = before | {s: before.get(s, 0) + by for s, by in changes.items()}
    had = resumed(told(before).cursor(), after)
    for stream, version in after.items():
        assert had.version(stream) in (0, before.get(stream, 0), version)
        if stream in changes:
            assert had.version(stream) < version, stream


@given(JOBS)
def test_what_did_not_change_is_not_told_again(versions: dict[str, int]) -> None:
    had = resumed(told(versions).cursor(), versions)
    assert {s: had.version(s) for s in versions} == versions


@given(JOBS, JOBS)
def test_resumed_twice_is_as_good_as_once(before: dict[str, int], more: dict[str, int]) -> None:
    """The ids that a resumed stream sends hold what those of an unbroken one do."""
    after = before | {s: before.get(s, 0) + by for s, by in more.items()}
    had = resumed(told(before).cursor(), before)
    for stream in more:
        had.note(stream, after[stream])
    again = resumed(had.cursor(), after)
    assert {s: again.version(s) for s in after} == after


def test_an_id_of_a_change_says_so_about_few_others() -> None:
    """One change among many makes only its own bucket be told again."""
    before = {f"job-{n}": 3 for n in range(2_000)}
    had = resumed(told(before).cursor(), before | {"job-7": 4})
    again = [stream for stream in before if had.version(stream) == 0]
    assert "job-7" in again
    assert len(again) < 2 * 2_000 / BUCKETS


def test_an_id_is_as_long_for_thousands_of_jobs_as_for_a_few() -> None:
    few = told({f"job-{n}": 9 for n in range(RECENT)}).cursor()
    many = told({f"job-{n}": 9 for n in range(3_000)}).cursor()
    assert len(many) < len(few) + 300
    assert len(many) < 1_000  # it travels in a header


@pytest.mark.parametrize(
    "cursor", ["", "!", "AAAA", base64.urlsafe_b64encode(b"\xff" * 40).decode()]
)
def test_what_is_no_id_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        resumed(cursor, {})


def test_an_id_of_another_release_makes_everything_be_told_again() -> None:
    """Never too little: its sums mean something else."""
    packed = msgspec.msgpack.encode([[], [0] * (BUCKETS + 1)])
    cursor = base64.urlsafe_b64encode(packed).decode()
    assert resumed(cursor, {"job-1": 1}).version("job-1") == 0
