"""The Merkle tree of RFC 6962, section 2.1: one hash over many leaves, and short proofs of one.

A leaf's hash is SHA-256 of 0x00 ‖ leaf, a node's of 0x01 ‖ left ‖ right, so that no node can pass
for a leaf. The left subtree is the largest power of two below the whole. Hashes are 32 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from domain.errors import HistoryBroken

_HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root of the leaves in this order. Reads them once and keeps log2(n) hashes."""
    return _root(leaf_hash(leaf) for leaf in leaves)


def path(leaves: Iterable[bytes], index: int) -> list[bytes]:
    """What leads from leaf ``index`` (from 0) to the root: the hashes beside it, lowest first.

    Keeps one hash for each leaf. Raises IndexError when there is no such leaf.
    """
    hashes = [leaf_hash(leaf) for leaf in leaves]
    if not 0 <= index < len(hashes):
        raise IndexError(f"There is no leaf {index} among {len(hashes)}.")
    beside = []
    while len(hashes) > 1:
        size = _split(len(hashes))
        left, right = hashes[:size], hashes[size:]
        if index < size:
            beside.append(_root(right))
            hashes = left
        else:
            beside.append(_root(left))
            hashes, index = right, index - size
    return beside[::-1]


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of a tree of ``size`` leaves in which ``leaf`` stands at ``index`` (from 0).

    The leaf is in the tree if this is the tree's root. Raises HistoryBroken when a path of that
    shape leads nowhere.
    """
    if not 0 <= index < size or any(len(each) != _HASH_BYTES for each in path):
        raise HistoryBroken(
            f"There is no leaf {index} in a tree of {size}, or a hash is too short."
        )
    found, last = leaf_hash(leaf), size - 1
    for beside in path:
        if last == 0:
            raise HistoryBroken(f"The Merkle path is too long for a tree of {size} leaves.")
        if index % 2 or index == last:
            found = node_hash(beside, found)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            found = node_hash(found, beside)
        index, last = index // 2, last // 2
    if last:
        raise HistoryBroken(f"The Merkle path is too short for a tree of {size} leaves.")
    return found


def _split(size: int) -> int:
    """The largest power of two below ``size``, which is 2 or more."""
    return 1 << (size - 1).bit_length() - 1


def _root(hashes: Iterable[bytes]) -> bytes:
    # Roots of complete subtrees, largest first: after n leaves as many as n has binary ones.
    complete: list[bytes] = []
    for count, each in enumerate(hashes, 1):
        node, rest = each, count
        while rest % 2 == 0:
            node = node_hash(complete.pop(), node)
            rest //= 2
        complete.append(node)
    if not complete:
        return hashlib.sha256(b"").digest()
    node = complete.pop()
    while complete:
        node = node_hash(complete.pop(), node)
    return node
