"""One look at the rows for everybody who listens. Blocking; runs in a thread.

Jobs that are followed are read by their heads, consistently, in batches; the jobs of a user by
the list of what they asked for last, which finds those that are new.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.errors import Unavailable
from domain.job import OPEN, RUNNING
from handlers.api import log
from handlers.api.events.bodies import JobChange, JobProgress
from handlers.api.job_renderings import Live, render, reported, told
from handlers.api.renderings import moment_or_none
from handlers.api.service import Service
from projections import JOBS_VIEW
from projections.jobs import JobView
from projections.ports import Row
from projections.progress import current_stage, overall
from projections.query import Versioned, several
from projections.query import live as live_generation

NEWEST = 10
"""Jobs at the top of a user's list that each look reads; more only where all are new."""
PAGE = 100
MOST = 2_000
"""Jobs of one user that are followed: the newest."""


class Shown(Struct, frozen=True):
    """A job as listeners are told of it. job, change: the JSON of ``job`` events, on the job's own
    stream and on its user's. then: what of it changes without a version, as they say it; now: as
    it stands.
    """

    stream: str
    version: int
    user_id: str
    status: str
    job: bytes
    change: bytes
    then: JobProgress
    now: JobProgress

    @property
    def ended(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.status not in OPEN


class Seen(Struct, frozen=True):
    """A job in a user's list."""

    stream: str
    version: int
    open: bool


def look(
    service: Service, least: Mapping[str, int], shown: Mapping[str, Shown]
) -> dict[str, Shown]:
    """Those jobs, each at that version or later. shown: what is rendered already."""
    views = several(JOBS_VIEW, least, service.application.reading)
    running = [v.view.job_id for v in views.values() if v.view.status == RUNNING]
    reports = service.application.operations.progresses(running) if running else {}
    found = {}
    for stream, view in views.items():
        try:
            live = told(service, view.view, reports.get(view.view.job_id))
            found[stream] = show(service, view, live, shown.get(stream))
        except Unavailable:
            raise
        except Exception as error:
            # The others' listeners need not wait until this one is repaired.
            log.error("job not shown to its listeners", stream=stream, exc_info=error)
    return found


def current(service: Service, found: Versioned[JobView]) -> Shown:
    """The job as it stands, rendered now."""
    return show(service, found, reported(service, found.view))


def show(
    service: Service, found: Versioned[JobView], current: Live, before: Shown | None = None
) -> Shown:
    """The job as it stands. before: what was shown of it, which is rendered anew only for what
    is newer.
    """
    now = _progress(found, current)
    if before is not None and before.version >= found.version:
        if before.version > found.version or before.now == now:
            return before
        return replace(before, now=now)
    job = render(service, found, current)
    return Shown(
        stream=found.stream,
        version=found.version,
        user_id=found.view.user_id,
        status=job.status,
        job=msgspec.json.encode(job),
        change=msgspec.json.encode(JobChange(job.job_id, job.version, job.status, job)),
        then=now,
        now=now,
    )


def _progress(found: Versioned[JobView], current: Live) -> JobProgress:
    view = found.view
    return JobProgress(
        job_id=view.job_id,
        version=found.version,
        status=view.status,
        attempt=view.attempt,
        stage=current_stage(view, current.stage),
        progress=overall(view, current.stage, current.done),
        queue_position=current.expected.position,
        estimated_end_at=moment_or_none(current.expected.ends),
    )


def listing(service: Service, user_id: str) -> list[Seen]:
    """The user's newest jobs, as far as they are followed."""
    found: list[Seen] = []
    cursor: str | None = None
    while True:
        page, cursor = page_of(service, user_id, cursor, PAGE)
        found += page
        if cursor is None or len(found) >= MOST:
            return found


def newest(service: Service, known: Mapping[str, Container[str]]) -> dict[str, list[Seen]]:
    """The top of each user's list, down to a job that is known of them."""
    return {user_id: _top(service, user_id, had) for user_id, had in known.items()}


def _top(service: Service, user_id: str, known: Container[str]) -> list[Seen]:
    found, cursor = page_of(service, user_id, None, NEWEST)
    page = found
    while cursor and len(found) < MOST and not any(each.stream in known for each in page):
        page, cursor = page_of(service, user_id, cursor, PAGE)
        found += page
    return found


def page_of(
    service: Service, user_id: str, cursor: str | None, limit: int
) -> tuple[list[Seen], str | None]:
    """A page of the user's list, newest first, and where the next one begins."""
    reading = service.application.reading
    page = reading.rows.owned(live_generation(JOBS_VIEW, reading), user_id, limit, cursor)
    return [_seen(row) for row in page.rows], page.cursor


def _seen(row: Row) -> Seen:
    return Seen(row.stream, row.version, row.status in OPEN)
