"""The commit store in memory, for tests, benchmarks and simulation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from zlib import crc32

from commands.ports import Clock
from domain.commit import Commit
from infra.event_store.store import SNAPSHOT_COMMITS, CommitStore, StreamTaken, same_command


class MemoryStore(CommitStore):
    """Same rules, same conflicts, no I/O. Safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._streams: dict[str, list[Commit]] = {}
        self._places: dict[tuple[str, int], Commit] = {}
        self._lock = threading.Lock()

    def newest_first(
        self,
        stream: str,
        upto: int | None = None,
        page: int = SNAPSHOT_COMMITS,  # noqa: ARG002 - nothing is fetched, so nothing is paged
    ) -> Iterator[Commit]:
        """See CommitStore."""
        commits = self._streams.get(stream, [])
        return reversed(commits if upto is None else [c for c in commits if c.first <= upto])

    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        """See CommitStore."""
        with self._lock:
            taken = [self._places.get((c.stream, c.first)) for c in commits]
            if any(taken):
                return _ours(commits, taken)
            for commit in commits:
                self._places[commit.stream, commit.first] = commit
                self._streams.setdefault(commit.stream, []).append(commit)
        return list(commits)

    def read(
        self,
        stream: str,
        after: int = 0,
        page: int | None = None,  # noqa: ARG002 - as above
    ) -> Iterator[Commit]:
        """See CommitStore."""
        return iter([c for c in self._streams.get(stream, ()) if c.first > after])

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        """See CommitStore."""
        for stream, commits in list(self._streams.items()):
            if crc32(stream.encode()) % segments == segment:
                yield from list(commits)

    def estimate(self) -> int:
        """See CommitStore. Exact."""
        return len(self._places)


def _ours(commits: Sequence[Commit], taken: Sequence[Commit | None]) -> list[Commit]:
    winners = []
    for ours, winner in zip(commits, taken, strict=True):
        if winner is None or not same_command(winner, ours):
            raise StreamTaken(f"{ours.stream} moved on past version {ours.first - 1}.")
        winners.append(winner)
    return winners
