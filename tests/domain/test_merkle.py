"""Against RFC 6962 as it is written down there, which is slower and shorter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import merkle
from domain.errors import HistoryBroken

# The leaves and roots that Certificate Transparency's own implementations are tested with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(leaves: Sequence[bytes], m: int) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*naive_path(leaves[:k], m), naive_root(leaves[k:])]
    return [*naive_path(leaves[k:], m - k), naive_root(leaves[:k])]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


def trees(least: int = 0) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.binary(max_size=8), min_size=least, max_size=70)


@given(trees())
def test_the_root_is_that_of_the_definition_and_reads_the_leaves_once(leaves: list[bytes]) -> None:
    def once() -> Iterator[bytes]:
        yield from leaves

    assert merkle.root(once()) == naive_root(leaves)


@given(trees(1), st.data())
def test_the_path_is_that_of_the_definition_and_leads_to_the_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.path(iter(leaves), index)
    assert path == naive_path(leaves, index)
    assert merkle.root_of(leaves[index], index, len(leaves), path) == merkle.root(leaves)


def leads_to_root(
    leaves: list[bytes], leaf: bytes, index: int, size: int, path: list[bytes]
) -> bool:
    try:
        return merkle.root_of(leaf, index, size, path) == merkle.root(leaves)
    except HistoryBroken:
        return False


@given(trees(2), st.data())
def test_forged_paths_lead_elsewhere(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    leaf, path = leaves[index], merkle.path(leaves, index)
    assert not leads_to_root(leaves, leaf + b"x", index, size, path)
    assert not leads_to_root(leaves, leaf, index, size, path[:-1])
    assert not leads_to_root(leaves, leaf, index, size, [*path, bytes(32)])
    assert not leads_to_root(leaves, leaf, -1, size, path)
    assert not leads_to_root(leaves, leaf, size, size, path)
    place = data.draw(st.integers(0, len(path) - 1))
    bad = data.draw(st.binary(min_size=32, max_size=32).filter(lambda h: h != path[place]))
    assert not leads_to_root(leaves, leaf, index, size, [*path[:place], bad, *path[place + 1 :]])
    assert not leads_to_root(leaves, leaf, index, size, [*path[:place], b"", *path[place + 1 :]])


@given(st.integers(2, 64), st.data())
def test_a_leaf_is_proved_at_its_own_place_only(size: int, data: st.DataObject) -> None:
    leaves = [bytes([n]) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    assert not leads_to_root(leaves, leaves[index], other, size, merkle.path(leaves, index))


def test_a_node_does_not_pass_for_a_leaf() -> None:
    left, right = (merkle.root(LEAVES[:2]), merkle.root(LEAVES[2:4]))
    assert merkle.root([left + right]) != merkle.root(LEAVES[:4])


def test_a_leaf_that_is_not_there_has_no_path() -> None:
    with pytest.raises(IndexError, match="no leaf 3 among 3"):
        merkle.path(LEAVES[:3], 3)
