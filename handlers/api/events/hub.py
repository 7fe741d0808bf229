"""One loop per process looks at the rows for everybody who listens, while anybody does.

A look reads each followed job's head once, the top of each listening user's list once, and the
progress reports of running jobs once, however many clients listen. What this process has
committed itself is looked at without delay. Everything here belongs to the event loop; the looks
themselves run in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import islice
from typing import Protocol

from domain.errors import SplitSoundError
from handlers.api import log
from handlers.api.events import looking
from handlers.api.events.feeds import Feed, JobFeed, UserFeed, UserJobs, scope
from handlers.api.events.had import Had, resumed
from handlers.api.events.looking import Seen, Shown
from handlers.api.events.slots import Slots
from handlers.api.service import Service

WALK_SECONDS = 10.0
"""Between pages of a walk through a user's whole list: a change of an ended job is found by it."""
LONGEST_FAULT_SECONDS = 5.0
_SHORTEST = 0.05
_OWED_AT_ONCE = 100
_USERS_AT_ONCE = 25


class Ending(Protocol):
    """An answer that is under way."""

    def end(self) -> None:
        """Soon; the server stops."""


class Hub:
    """Who listens to what. looks: how often the rows were read, for tests and metrics."""

    def __init__(self, service: Service) -> None:
        settings = service.application.settings
        self.service = service
        self.slots = Slots(settings.sse_per_user)
        self.streams: set[Ending] = set()
        self.looks = 0
        self.shown: dict[str, Shown] = {}
        self._poll = settings.sse_poll_seconds
        self._jobs: dict[str, set[JobFeed]] = {}
        self._users: dict[str, UserJobs] = {}
        self._committed: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._faults = 0
        service.listeners.append(self.committed)

    @property
    def idle(self) -> bool:
        """Whether nobody listens and nothing is held for anybody."""
        return not (self._jobs or self._users or self.shown or self._loop or self.slots.taken)

    def follow_job(self, shown: Shown, had: int) -> JobFeed:
        """A feed of that job, for a client that has version ``had``; leave it in the end."""
        feed = JobFeed(shown, had)
        self._jobs.setdefault(shown.stream, set()).add(feed)
        self._begin()
        return feed

    def follow_user(self, user_id: str, found: list[Seen], cursor: str | None) -> UserFeed:
        """A feed of all the user's jobs, ``found`` among them. cursor: of what the client has,
        without one it is told of the open jobs.

        Raises Invalid for a cursor that is none.
        """
        jobs = self._users.get(user_id) or UserJobs(user_id, [])
        for seen in reversed(found):
            jobs.saw(seen)
        if cursor is None:
            had = Had()
            had.take({s: v for s, v in jobs.versions.items() if s not in jobs.open})
        else:
            had = resumed(cursor, jobs.versions)
        feed = UserFeed(jobs, had, self.shown, self.service.cursors)
        self._users[user_id] = jobs
        jobs.feeds.add(feed)
        self._begin()
        self._wake.set()
        return feed

    def cursor(self, user_id: str, given: str) -> str:
        """The signed cursor without its signature. Raises Invalid."""
        return self.service.cursors.take(scope(user_id), given) or ""

    def leave(self, feed: Feed) -> None:
        """The feed's client has gone."""
        if isinstance(feed, JobFeed):
            feeds = self._jobs.get(feed.stream, set())
            feeds.discard(feed)
            if not feeds:
                self._jobs.pop(feed.stream, None)
        elif isinstance(feed, UserFeed):
            feed.jobs.feeds.discard(feed)
            if not feed.jobs.feeds:
                self._users.pop(feed.jobs.user_id, None)
        self._forget()
        if not self._jobs and not self._users:
            self._stop()

    def end(self) -> None:
        """The server stops: every stream ends, so that it need not wait for them."""
        for stream in list(self.streams):
            stream.end()

    def committed(self, stream: str, version: int, actor: str) -> None:
        """This process has committed to the stream on behalf of ``actor``."""
        if stream.startswith("job-") and (
            stream in self._jobs or stream in self.shown or actor in self._users
        ):
            self._committed[stream] = max(version, self._committed.get(stream, 0))
            self._wake.set()

    def _begin(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run())

    def _stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            self._loop = None
        self._committed.clear()
        self._wake.clear()

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            self._wake.clear()
            await self._guarded_look()
            pause = min(self._poll * 2**self._faults, max(LONGEST_FAULT_SECONDS, self._poll))
            # What was committed here is told at once, yet a storm of commits is told in steps.
            await asyncio.sleep(_SHORTEST)
            try:
                left = began + pause - time.monotonic()
                await asyncio.wait_for(self._wake.wait(), max(left, _SHORTEST))
            except TimeoutError:
                continue

    async def _guarded_look(self) -> None:
        """A look that failed is made again: no stream ends because the rows do not answer."""
        try:
            await self._look()
        except SplitSoundError as error:
            self._fault("rows do not answer event streams", error=error.detail)
        except Exception as error:
            self._fault("look for event streams failed", exc_info=error)
        else:
            self._faults = 0

    def _fault(self, words: str, **facts: object) -> None:
        if not self._faults:
            log.warning(words, **facts)
        self._faults = min(self._faults + 1, 8)

    async def _look(self) -> None:
        self.looks += 1
        for user_id, seen in (await self._lists()).items():
            if jobs := self._users.get(user_id):
                # The oldest first, so that they are told in that order.
                for each in reversed(seen):
                    jobs.saw(each)
        committed, self._committed = self._committed, {}
        least = self._least(committed)
        try:
            found = await self.service.run(looking.look, self.service, least, self.shown)
        except Exception:
            self._committed = committed | self._committed
            raise
        self._take(found)

    def _least(self, committed: Mapping[str, int]) -> dict[str, int]:
        """What to look at, and how new it has to be."""
        streams = [*self._jobs, *committed]
        for jobs in self._users.values():
            streams += jobs.wanted(self.shown, _OWED_AT_ONCE)
        acknowledged = self.service.acknowledged
        return {s: acknowledged.least(s, committed.get(s, 1)) for s in streams}

    async def _lists(self) -> dict[str, list[Seen]]:
        found: dict[str, list[Seen]] = {}
        known = ((user_id, jobs.versions) for user_id, jobs in self._users.items())
        parts = []
        while part := dict(islice(known, _USERS_AT_ONCE)):
            parts.append(self.service.run(looking.newest, self.service, part))
        for each in await asyncio.gather(*parts):
            found |= each
        for jobs in [j for j in self._users.values() if _walk_is_due(j)]:
            # Anew from the top unless this page is read: a cursor ends with its generation.
            start, jobs.cursor = jobs.cursor, None
            page, jobs.cursor = await self.service.run(
                looking.page_of, self.service, jobs.user_id, start, looking.PAGE
            )
            jobs.walked = time.monotonic()
            found.setdefault(jobs.user_id, []).extend(page)
        return found

    def _take(self, found: Mapping[str, Shown]) -> None:
        for stream, shown in found.items():
            before = self.shown.get(stream)
            if before and before.version > shown.version:
                continue
            self.shown[stream] = shown
            self.service.acknowledged.note(stream, shown.version)
            if jobs := self._users.get(shown.user_id):
                jobs.saw(Seen(stream, shown.version, not shown.ended))
            for feed in self._jobs.get(stream, ()):
                feed.show(shown)
        for jobs in self._users.values():
            for each in jobs.feeds:
                if each.due():
                    each.changed.set()
        self._forget()

    def _forget(self) -> None:
        kept = {*self._jobs, *(s for jobs in self._users.values() for s in jobs.kept())}
        for stream in self.shown.keys() - kept:
            del self.shown[stream]


def _walk_is_due(jobs: UserJobs) -> bool:
    # A short list is seen whole at its top.
    long = len(jobs.versions) > looking.NEWEST
    return long and time.monotonic() - jobs.walked >= WALK_SECONDS
