"""Whole transactions out of a live store.

A scan that runs while commands do meets one stream before and another one after a transaction of
both. What it met is closed under peers when, of each transaction, all commits are there or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from domain.commit import Commit, Peer


class History(Protocol):
    """What can be scanned as a whole and read stream by stream."""

    def scan(self) -> Iterator[Commit]:
        """Every commit; each stream's together and in order."""

    def read(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """A stream's commits that begin above version ``after``, in order."""


class Halves:
    """The peers that commits name and that have not come themselves: the last per stream.

    Streams come in order and without gaps, so with the last one all have come.
    """

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}
        self._named: dict[str, Peer] = {}

    def note(self, commit: Commit) -> None:
        """Take the next commit of its stream."""
        self.passed(commit.stream, commit.last)
        self.name(commit.peers)

    def passed(self, stream: str, last: int) -> None:
        """All commits of the stream up to version ``last`` have come."""
        self._ends[stream] = last
        named = self._named.get(stream)
        if named and named.first <= last:
            del self._named[stream]

    def name(self, peers: Iterable[Peer]) -> None:
        """A commit that came names these."""
        for peer in peers:
            named = self._named.get(peer.stream)
            if peer.first > (named.first if named else self.end(peer.stream)):
                self._named[peer.stream] = peer

    def add(self, other: Halves) -> None:
        """What came of other streams, in another part of the scan."""
        for stream, last in other._ends.items():
            self.passed(stream, last)
        self.name(other._named.values())

    def take(self) -> Peer | None:
        """One that has not come; it is not told again."""
        return self._named.popitem()[1] if self._named else None

    def end(self, stream: str) -> int:
        """The last version that came, -1 where none did."""
        return self._ends.get(stream, -1)


def closed(store: History) -> Iterator[Commit]:
    """All that a scan meets, then what it passed before the peers of a commit were there."""
    halves = Halves()
    for commit in store.scan():
        halves.note(commit)
        yield commit
    yield from _rest(store, halves)


def _rest(store: History, halves: Halves) -> Iterator[Commit]:
    """What closes the commits that ``halves`` noted, a run of one stream after the other.

    That ends however busy the store is: whatever is read in addition was committed before, or
    together with, a commit that was noted. A peer that does not exist is passed over.
    """
    while peer := halves.take():
        for commit in store.read(peer.stream, halves.end(peer.stream)):
            if commit.first > peer.first:
                break
            halves.note(commit)
            yield commit
