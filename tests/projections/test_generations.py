"""The catalogue under any sequence of what operators and rebuilds do to it."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Refused
from projections.generations import (
    BUILDING,
    LIVE,
    Catalogue,
    advance,
    before,
    begin,
    dropping,
    first,
    flip,
    gone,
    released,
    rollback,
)

steps = st.tuples(
    st.sampled_from(
        ["begin", "take over", "advance", "flip", "rollback", "drop", "gone", "release"]
    ),
    st.sampled_from(["one", "two"]),
    st.integers(1, 5),
    st.integers(1, 2),
)


def done(catalogue: Catalogue, step: tuple[str, str, int, int], now: int) -> Catalogue:
    what, owner, number, code = step
    match what:
        case "begin" | "take over":
            return begin(catalogue, code, owner, now, 2, dead=what == "take over")
        case "advance":
            return advance(catalogue, owner, now, number % 2)
        case "flip":
            target = catalogue.build.number if catalogue.build else number
            return flip(catalogue, owner, now, target, catalogue.live.number)
        case "rollback":
            return rollback(catalogue, before(catalogue), now)
        case "drop":
            return dropping(catalogue, number)
        case "gone":
            return gone(catalogue, number) if _is_dropping(catalogue, number) else catalogue
        case "release":
            return released(catalogue, owner)
    raise AssertionError(what)


def _is_dropping(catalogue: Catalogue, number: int) -> bool:
    return any(g.number == number and g.state == "dropping" for g in catalogue.generations)


@settings(max_examples=500)
@given(st.lists(steps, max_size=40))
def test_one_is_live_whatever_happens(sequence: list[tuple[str, str, int, int]]) -> None:
    catalogue, folded = first(1), {1}
    for now, step in enumerate(sequence, 1):
        earlier = catalogue
        with suppress(Refused):
            catalogue = done(catalogue, step, now)
        if catalogue.build and len(catalogue.build.done) == catalogue.build.segments:
            folded.add(catalogue.build.number)
        assert [g.state for g in catalogue.generations].count(LIVE) == 1
        assert catalogue.live.number in folded  # never one that is not completely folded
        building = [g.number for g in catalogue.generations if g.state == BUILDING]
        assert building == ([catalogue.build.number] if catalogue.build else [])
        numbers = [g.number for g in catalogue.generations]
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) <= catalogue.last
        assert catalogue.last >= earlier.last
