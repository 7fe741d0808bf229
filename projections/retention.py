"""What is due to be deleted from storage: found by date, without a look at what is not.

Rows that go some day stand under ``purge#<yyyy-mm-dd>`` in the status index. A caller passes a
``now`` that lies a little back (GRACE), so that no clock of a process that still restores is
behind it: after its date nothing is restored, so what is due stays due.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from domain.job import OPEN
from domain.retention import DAY, earliest, over
from domain.stems import preview_key, waveform_key
from projections.catch_up import Reading
from projections.jobs import JOBS_VIEW, JobView
from projections.library import LIBRARY_VIEW
from projections.projection import Projection, purge_day
from projections.query import latest, live, owned_between

GRACE = 3_600_000
LOOK_BACK = 60
"""Days for which a janitor may have been away; each costs one query per read model and run."""
_ALWAYS = ("0", "~")


class DueJob(Struct, frozen=True):
    """A job whose media go. keys: in storage, none that a job which stays needs."""

    job_id: str
    user_id: str
    keys: tuple[str, ...]


class DueAsset(Struct, frozen=True):
    """An upload whose bytes go, and the jobs that go with it."""

    asset_id: str
    user_id: str
    keys: tuple[str, ...]
    jobs: tuple[DueJob, ...]


def due_assets(reading: Reading, now: int, look_back: int = LOOK_BACK) -> Iterator[DueAsset]:
    """Uploads past their date; deleted ones with their jobs, and only once none is open."""
    for stream in _dated(LIBRARY_VIEW, reading, now, look_back):
        found = latest(LIBRARY_VIEW, stream, reading)
        if found is None or found.view.purged:
            continue
        view = found.view
        deleted = over(view.deleted_until, now)
        if not deleted and not over(view.expires, now):
            continue
        theirs = _jobs(reading, view.user_id) if deleted else []
        of_it = [job for job in theirs if job.asset_id == view.asset_id and not job.purged]
        if any(job.status in OPEN for job in of_it):
            continue
        going = frozenset(job.job_id for job in of_it)
        jobs = tuple(_due(job, theirs, going) for job in of_it)
        yield DueAsset(view.asset_id, view.user_id, (view.key,), jobs)


def due_jobs(reading: Reading, now: int, look_back: int = LOOK_BACK) -> Iterator[DueJob]:
    """Ended jobs past their date."""
    for stream in _dated(JOBS_VIEW, reading, now, look_back):
        found = latest(JOBS_VIEW, stream, reading)
        if found is None or found.view.purged or found.view.status in OPEN:
            continue
        view = found.view
        if over(earliest(view.deleted_until, view.expires), now):
            theirs = _jobs(reading, view.user_id)
            yield _due(view, theirs, frozenset((view.job_id,)))


def media_of(view: JobView) -> frozenset[str]:
    """Keys of all that a job gave: stems, previews, waveforms, the zip."""
    stems = view.stems or tuple(view.stored.values())
    keys = {stem.key for stem in stems}
    for stem in stems:
        if stem.preview_bytes:
            keys |= {preview_key(stem.key), waveform_key(stem.key)}
    return frozenset(keys | ({view.zip.key} if view.zip else set()))


def _due(view: JobView, theirs: list[JobView], going: frozenset[str]) -> DueJob:
    # Stems that were given again stand under the first job's keys, until the last one goes.
    kept = [media_of(job) for job in theirs if job.job_id not in going and not job.purged]
    return DueJob(view.job_id, view.user_id, tuple(sorted(media_of(view).difference(*kept))))


def _jobs(reading: Reading, user_id: str) -> list[JobView]:
    return [found.view for found in owned_between(JOBS_VIEW, user_id, reading, _ALWAYS)]


def _dated(
    projection: Projection[Any], reading: Reading, now: int, look_back: int
) -> Iterator[str]:
    generation = live(projection, reading)
    for back in range(look_back, -1, -1):
        for row in reading.rows.with_status(generation, purge_day(now - back * DAY)):
            yield row.stream
