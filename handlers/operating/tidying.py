"""What interrupted attempts left in storage, removed once their job has ended.

Safe against a crash at any point: deleting again is harmless, and the event comes last. Safe
against operators too: what a failed job that is done anew puts meanwhile is of a later attempt
than the one that was looked at, and stays.
"""

from __future__ import annotations

from msgspec import Struct

from commands import TidyMedia, execute
from commands.dispatch import Context
from domain.commit import Meta
from domain.errors import Refused
from domain.job import ABSENT, JOB, OPEN, JobState
from handlers.operating.sleeping import sleeps
from infra.bootstrap import Application
from infra.media_bucket import Lying, MediaBucket
from infra.objects import job_prefix


class Tidied(Struct, frozen=True):
    """What was removed: objects, their bytes, and unfinished uploads."""

    objects: int = 0
    bytes: int = 0
    uploads: int = 0


def media_bucket(application: Application) -> MediaBucket:
    """An application's storage as a whole."""
    return MediaBucket(application.s3, application.settings.media_bucket)


def tidy(context: Context, bucket: MediaBucket, job_id: str, meta: Meta) -> Tidied | None:
    """Leave nothing in storage that the ended job does not name, and say so in its history.

    None where there is nothing to do: it is open, it was tidied, there is no such job, or it was
    imported from another stage, whose storage this is not. Raises Unavailable, Conflict.
    """
    loaded = context.store.load(JOB, JOB.stream(job_id))
    state = loaded.state
    if state.status in (ABSENT, *OPEN) or state.tidied or sleeps(context, JOB.stream(job_id)):
        return None
    prefix = job_prefix(state.asked.user_id, job_id)
    left = [each for each in bucket.objects(prefix) if is_stray(state, each)]
    left += [each for each in bucket.uploads(prefix) if is_stray(state, each)]
    removed = bucket.remove(left)
    try:
        execute(context, TidyMedia(job_id, removed), meta)
    except Refused:
        return None  # it is done anew, and will be tidied when that has ended
    uploads = sum(1 for each in left if each.upload_id)
    return Tidied(removed - uploads, sum(each.size for each in left), uploads)


def is_stray(state: JobState, found: Lying) -> bool:
    """Whether nothing names it and nothing ever will: its job has ended, and its attempt too."""
    if state.status in OPEN or found.attempt > state.attempt:
        return False
    # An upload that was never finished is no object, whatever key it was for.
    return bool(found.upload_id) or found.key not in state.named
