"""Ring again for what was committed in a time: for a relay that was down for too long."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from msgspec import Struct

from domain.commit import Commit
from domain.errors import Unavailable
from infra.bus import Bus
from projections.crew import Crew
from projections.doorbell import Doorbell, ring
from projections.ports import History

SEGMENTS, WORKERS = 16, 4
BATCH = 50
_TRIES = 5


class Wanted(Struct, frozen=True):
    """since, until: epoch ms, both included; category: of streams, None for all."""

    since: int
    until: int
    category: str | None = None

    def includes(self, commit: Commit) -> bool:
        """Whether that commit is to ring again."""
        own = self.category in (None, _category(commit))
        return own and self.since <= commit.t <= self.until


class Republished(Struct):
    """commits: in that time; published: taken by the bus; refused: ``stream@version`` of others.

    scanned: commits looked at; streams: that those in that time belong to.
    """

    scanned: int = 0
    commits: int = 0
    published: int = 0
    streams: set[str] = set()
    categories: dict[str, int] = {}
    refused: list[str] = []

    def add(self, other: Republished) -> None:
        """Sum up."""
        self.scanned += other.scanned
        self.commits += other.commits
        self.published += other.published
        self.streams |= other.streams
        self.categories = dict(Counter(self.categories) + Counter(other.categories))
        self.refused += other.refused


class Republishing:
    """bus: None to count only. progress: hears how many commits were scanned by now."""

    def __init__(
        self,
        history: History,
        bus: Bus | None,
        wanted: Wanted,
        progress: Callable[[int], None] = lambda _: None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._history, self._bus, self._wanted = history, bus, wanted
        self._progress, self._pause = progress, pause
        self._scanned = 0
        self._lock = threading.Lock()

    def run(self, segments: int = SEGMENTS, workers: int = WORKERS) -> Republished:
        """Publish. Raises Unavailable; run again, it rings twice, which is harmless."""
        crew, total = Crew(workers, self._pause), Republished()
        for done in crew.run(lambda n: self._segment(n, segments, crew), range(segments)):
            total.add(done)
        return total

    def _segment(self, segment: int, segments: int, crew: Crew) -> Republished:
        done = Republished()
        for batch in _batches(self._history.scan(segment, segments)):
            crew.go_on()
            wanted = [commit for commit in batch if self._wanted.includes(commit)]
            refused = self._publish([ring(commit) for commit in wanted])
            done.add(
                Republished(
                    len(batch), len(wanted), len(wanted) - len(refused) if self._bus else 0,
                    {c.stream for c in wanted}, dict(Counter(_category(c) for c in wanted)),
                    [f"{bell.stream}@{bell.first}" for bell in refused],
                )
            )  # fmt: skip
            with self._lock:
                self._scanned += len(batch)
                self._progress(self._scanned)
        return done

    def _publish(self, bells: list[Doorbell]) -> list[Doorbell]:
        """Those that the bus refused at every try."""
        if self._bus is None:
            return []
        for attempt in range(_TRIES):
            if not bells:
                break
            if attempt:
                self._pause(0.2 * 2**attempt)
            try:
                bells = [bells[place] for place in self._bus.publish(bells)]
            except Unavailable:
                if attempt == _TRIES - 1:
                    raise
        return bells


def _category(commit: Commit) -> str:
    return commit.stream.partition("-")[0]


def _batches(commits: Iterator[Commit]) -> Iterator[list[Commit]]:
    while batch := list(islice(commits, BATCH)):
        yield batch
