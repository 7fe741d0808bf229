from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import PartsMismatch
from domain.parts import Part, Parts

CUT = Parts(size=25, part_size=10)
STORED = [Part(1, '"a"', 10), Part(2, '"b"', 10), Part(3, '"c"', 5)]


@given(st.integers(1, 10_000), st.integers(1, 3_000))
def test_parts_add_up_to_the_file(size: int, part_size: int) -> None:
    cut = Parts(size, part_size)
    sizes = [cut.size_of(n) for n in range(1, cut.count + 1)]
    assert sum(sizes) == size
    assert all(s == part_size for s in sizes[:-1])
    assert 0 < sizes[-1] <= part_size


def test_what_arrived_as_declared_is_joined_in_order() -> None:
    assert CUT.check(STORED[::-1], None) == STORED
    named = [Part(1, "a"), Part(2, '"b"'), Part(3, "c")]
    assert CUT.check(STORED, named) == STORED
    assert CUT.missing(STORED) == []


@pytest.mark.parametrize(
    ("stored", "numbers", "missing"),
    [
        (STORED[:2], {3}, [3]),
        ([], {1, 2, 3}, [1, 2, 3]),
        ([Part(1, "a", 9), *STORED[1:]], {1}, [1]),
        ([*STORED[:2], Part(3, "c", 10)], {3}, [3]),
        ([*STORED, Part(4, "d", 1)], {4}, []),
    ],
)
def test_each_part_that_is_wrong_is_named(
    stored: list[Part], numbers: set[int], missing: list[int]
) -> None:
    with pytest.raises(PartsMismatch) as refused:
        CUT.check(stored, None)
    assert {e.number for e in refused.value.extra["errors"]} == numbers
    assert CUT.missing(stored) == missing


@pytest.mark.parametrize(
    ("named", "pointers"),
    [
        ([Part(1, "a"), Part(2, "x"), Part(3, "c")], ["#/parts/1"]),
        ([Part(2, "b"), Part(1, "a"), Part(3, "c")], ["#/parts/1"]),
        ([Part(1, "a"), Part(1, "a"), Part(2, "b"), Part(3, "c")], ["#/parts/1"]),
        ([Part(1, "a"), Part(2, "b"), Part(3, "c"), Part(4, "d")], ["#/parts/3"]),
        ([Part(1, "a"), Part(3, "c")], ["#/parts"]),
    ],
)
def test_a_client_that_believes_otherwise_learns_where(
    named: list[Part], pointers: list[str]
) -> None:
    with pytest.raises(PartsMismatch) as refused:
        CUT.check(STORED, named)
    assert [e.pointer for e in refused.value.extra["errors"]] == pointers
