"""The whole bucket against the histories of all jobs and uploads, both ways.

Strays: what lies in the bucket and nothing names. Lost: what a history names and the bucket lacks.
What belongs to work under way is neither.

The bucket is listed in the order of its keys, so that all of one stream comes together and is held
against the stream as it stands then, by one consistent load: what is a stray then stays one. Memory
grows with the strays and with about a hundred bytes per stream, not with the objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby
from typing import Any

from msgspec import Struct

from domain import asset, job
from domain.asset import ASSET, AssetState
from domain.job import JOB, JobState
from handlers.operating.tidying import is_stray
from infra.media_bucket import Lying, MediaBucket
from projections.ports import History
from projections.sweeping import streams

UNKNOWN = "unknown"
"""The status of what no history knows: of another deployment perhaps, so it is never deleted."""
_BATCH = 1000
_CATEGORIES = (f"{JOB.category}-", f"{ASSET.category}-")


class Stray(Struct, frozen=True):
    """Something that nothing names. status: of the job or upload that it belongs to; age: ms."""

    found: Lying
    status: str
    age: int

    def deletable(self, older: int) -> bool:
        """Whether it is that old (ms) and of work that is known to have ended."""
        return self.age >= older and self.status not in (UNKNOWN, *job.OPEN, asset.UPLOADING)


class Lost(Struct, frozen=True):
    """A key that a history names and the bucket lacks."""

    key: str
    stream: str
    status: str


class Compared(Struct):
    """objects, bytes: in the bucket; uploads: unfinished ones; removed: strays deleted."""

    objects: int = 0
    bytes: int = 0
    uploads: int = 0
    strays: list[Stray] = []
    lost: list[Lost] = []
    removed: int = 0


class Comparing:
    """store: the event store. now: epoch ms."""

    def __init__(self, store: Any, bucket: MediaBucket, now: Callable[[], int]) -> None:
        self._store, self._bucket, self._now = store, bucket, now
        self._done = Compared()

    def run(self, older: int | None = None) -> Compared:
        """Compare. older: also delete what is that old (ms) and whose work has ended.

        Raises Unavailable; run again, it goes on.
        """
        seen: set[str] = set()
        for stream, group in groupby(self._lying(), key=lambda each: each.stream):
            seen.add(stream)
            self._compare(stream, list(group))
        self._look_for(seen, self._store)
        if older is not None:
            self._remove(older)
        return self._done

    def _lying(self) -> Iterator[Lying]:
        # Both listings come in the order of their keys.
        both = merge(self._bucket.objects(), self._bucket.uploads(), key=lambda each: each.key)
        for each in both:
            if each.upload_id:
                self._done.uploads += 1
            else:
                self._done.objects += 1
                self._done.bytes += each.size
            yield each

    def _compare(self, stream: str, found: list[Lying]) -> None:
        state, now = self._state(stream), self._now()
        for each in found:
            if _nothing_names(state, each):
                status = _status(state)
                self._done.strays.append(Stray(each, status, max(0, now - each.time)))
        self._miss(stream, state, {each.key for each in found if not each.upload_id})

    def _miss(self, stream: str, state: JobState | AssetState | None, there: set[str]) -> None:
        for key in sorted(_named(state) - there):
            # It may have come since the listing.
            if not self._bucket.has(key):
                self._done.lost.append(Lost(key, stream, _status(state)))

    def _look_for(self, seen: set[str], history: History) -> None:
        """The streams of which the bucket has nothing at all."""
        for stream in streams(history, lambda name: name.startswith(_CATEGORIES)):
            if stream.name not in seen:
                self._miss(stream.name, self._state(stream.name), set())

    def _state(self, stream: str) -> JobState | AssetState | None:
        if stream.startswith(_CATEGORIES[0]):
            made: JobState = self._store.load(JOB, stream).state
            return made if made.status != job.ABSENT else None
        if stream.startswith(_CATEGORIES[1]):
            song: AssetState = self._store.load(ASSET, stream).state
            return song if song.status != asset.ABSENT else None
        return None

    def _remove(self, older: int) -> None:
        ripe = [stray for stray in self._done.strays if stray.deletable(older)]
        for start in range(0, len(ripe), _BATCH):
            batch = ripe[start : start + _BATCH]
            self._done.removed += self._bucket.remove(s.found for s in batch)


def _nothing_names(state: JobState | AssetState | None, found: Lying) -> bool:
    match state:
        case None:
            return True
        case JobState():
            return found.user_id != state.asked.user_id or is_stray(state, found)
        case AssetState():
            if found.upload_id:
                return state.status != asset.UPLOADING or found.upload_id != state.upload_id
            return found.key != state.key or state.status == asset.ABORTED or state.erased


def _named(state: JobState | AssetState | None) -> frozenset[str]:
    match state:
        case JobState() if not state.purged:
            return state.named
        case AssetState() if state.status in (asset.UPLOADED, asset.READY):
            there = not (state.purged or state.erased)
            return frozenset((state.key,)) if there else frozenset()
    return frozenset()


def _status(state: JobState | AssetState | None) -> str:
    return state.status if state else UNKNOWN
