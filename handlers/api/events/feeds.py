"""What one client has been told, and what it is to be told next.

A feed queues nothing: it compares what its client has with how the jobs stand, so a client that
reads slowly gets the newest state and costs no more memory than another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from handlers.api.events import frames
from handlers.api.events.bodies import JobEnd, JobProgress, Ready
from handlers.api.events.had import Had
from handlers.api.events.looking import Seen, Shown
from handlers.api.paging import Cursors

PROGRESS_SECONDS = 0.9
"""Progress of jobs is told at most that often."""
_AT_ONCE = 16


class Feed(Protocol):
    """changed: set when there may be something to tell. over: nothing will be told any more."""

    changed: asyncio.Event
    over: bool

    def due(self) -> bool:
        """Whether ``take`` would give something."""

    def take(self) -> bytes:
        """The events that are due, some at a time; nothing when all was told."""


class Pace:
    """Lets progress through at most every PROGRESS_SECONDS."""

    def __init__(self) -> None:
        self._last = 0.0

    def __bool__(self) -> bool:
        return time.monotonic() - self._last >= PROGRESS_SECONDS

    def passed(self) -> None:
        """Something was told."""
        self._last = time.monotonic()


class JobFeed:
    """One job. shown: as it stood at the beginning; had: the version that the client has."""

    def __init__(self, shown: Shown, had: int) -> None:
        self.changed = asyncio.Event()
        self.over = False
        self.stream = shown.stream
        self.shown = shown
        self._had = had
        # Whoever resumes is told of the progress at once.
        self._told: JobProgress | None = None
        self._pace = Pace()

    def show(self, shown: Shown) -> None:
        """How the job stands now."""
        if shown.version >= self.shown.version:
            self.shown = shown
        if self.due():
            self.changed.set()

    def due(self) -> bool:
        """See Feed."""
        if self.shown.version > self._had or self.shown.ended:
            return not self.over
        return self.shown.now != self._told and bool(self._pace)

    def take(self) -> bytes:
        """See Feed."""
        return b"".join(self._events()) if self.due() else b""

    def _events(self) -> Iterator[bytes]:
        shown = self.shown
        if shown.version > self._had:
            self._had = shown.version
            self._told = shown.then
            yield frames.event("job", shown.job, str(shown.version))
        if not shown.ended and shown.now != self._told:
            self._told = shown.now
            yield frames.event("progress", msgspec.json.encode(shown.now))
        self._pace.passed()
        if shown.ended:
            self.over = True
            end = JobEnd(shown.now.job_id, shown.status, shown.version)
            yield frames.event("end", msgspec.json.encode(end))


class UserJobs:
    """The jobs of one user, for all their feeds: versions by stream, and those that are open."""

    def __init__(self, user_id: str, found: list[Seen]) -> None:
        self.user_id = user_id
        self.versions: dict[str, int] = {}
        self.open: set[str] = set()
        self.feeds: set[UserFeed] = set()
        # Where the next page of a walk through the whole list begins, and when it is due.
        self.cursor: str | None = None
        self.walked = time.monotonic()
        for seen in found:
            self.saw(seen)

    def saw(self, seen: Seen) -> None:
        """A job stands so, as far as some look could tell; an older look changes nothing."""
        before = self.versions.get(seen.stream, 0)
        if seen.version <= before:
            return
        self.versions[seen.stream] = seen.version
        (self.open.add if seen.open else self.open.discard)(seen.stream)
        for feed in self.feeds:
            feed.owe(seen.stream)

    def wanted(self, shown: Mapping[str, Shown], most: int) -> Iterator[str]:
        """What has to be looked at: open jobs, and some of those that feeds still owe."""
        yield from self.open
        owed = {stream for feed in self.feeds for stream in feed.owed}
        for stream in owed - self.open:
            if not self._is_shown(stream, shown):
                if not most:
                    return
                most -= 1
                yield stream

    def _is_shown(self, stream: str, shown: Mapping[str, Shown]) -> bool:
        found = shown.get(stream)
        return found is not None and found.version >= self.versions[stream]

    def kept(self) -> Iterator[str]:
        """What has to stay rendered."""
        yield from self.open
        for feed in self.feeds:
            yield from feed.owed


class UserFeed:
    """All jobs of a user. had: what the client was told of; shown: how jobs stand."""

    def __init__(
        self, jobs: UserJobs, had: Had, shown: Mapping[str, Shown], cursors: Cursors
    ) -> None:
        self.changed = asyncio.Event()
        self.over = False
        self.jobs = jobs
        self.owed: dict[str, None] = {}
        self._had = had
        self._shown = shown
        self._cursors = cursors
        self._ready = False
        self._told: dict[str, JobProgress] = {}
        self._pace = Pace()
        # The oldest first.
        for stream in reversed(jobs.versions):
            self.owe(stream)

    def owe(self, stream: str) -> None:
        """The job may have changed."""
        if self.jobs.versions[stream] > self._had.version(stream):
            self.owed[stream] = None

    def due(self) -> bool:
        """See Feed."""
        if not self._ready and not self.owed:
            return True
        return any(True for _ in self._tellable()) or any(True for _ in self._moved())

    def take(self) -> bytes:
        """See Feed."""
        found = [self._job(shown) for shown in list(self._tellable())[:_AT_ONCE]]
        if not self.owed and not self._ready:
            self._ready = True
            ready = msgspec.json.encode(Ready(len(self.jobs.open)))
            found.append(frames.event("ready", ready, self._cursor()))
        for shown in list(self._moved()):
            self._told[shown.stream] = shown.now
            self._pace.passed()
            found.append(frames.event("progress", msgspec.json.encode(shown.now)))
        return b"".join(found)

    def _tellable(self) -> Iterator[Shown]:
        for stream in self.owed:
            shown = self._shown.get(stream)
            if shown and shown.version >= self.jobs.versions[stream]:
                yield shown

    def _moved(self) -> Iterator[Shown]:
        if not self._pace:
            return
        for stream in self.jobs.open:
            shown = self._shown.get(stream)
            if shown and stream not in self.owed and shown.now != self._told.get(stream):
                yield shown

    def _job(self, shown: Shown) -> bytes:
        del self.owed[shown.stream]
        self._had.note(shown.stream, shown.version)
        if shown.ended:
            self._told.pop(shown.stream, None)
        else:
            self._told[shown.stream] = shown.then
        return frames.event("job", shown.change, self._cursor())

    def _cursor(self) -> str:
        return self._cursors.give(scope(self.jobs.user_id), self._had.cursor()) or ""


def scope(user_id: str) -> str:
    """What cursors of a user's events are bound to."""
    return f"events|{user_id}"
