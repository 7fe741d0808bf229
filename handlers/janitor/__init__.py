"""The janitor: the one process that deletes media and forgets people, and its role the only one
that may.

- ``Purging`` (here): uploads and results whose time is over, by a date that nothing takes back.
- ``erasing``: people who are to be forgotten.
- ``tidying``: what interrupted attempts left.

Each deletes first and says so in an event afterwards. Deleting again is harmless, so a janitor
that was killed anywhere goes on where it was, and two of them do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from commands import Context, PurgeAsset, PurgeJob, execute
from commands.dispatch import Command
from domain.commit import Meta
from domain.errors import SplitSoundError
from infra.media_bucket import Lying, MediaBucket
from projections.catch_up import Reading
from projections.retention import GRACE, DueAsset, DueJob, due_assets, due_jobs

ACTOR = "janitor"


@dataclass(frozen=True)
class Purging:
    """grace: ms that a date lies back before it counts, see ``projections.retention``."""

    context: Context
    reading: Reading
    bucket: MediaBucket
    log: Any
    grace: int = GRACE

    def once(self) -> int:
        """Delete what is due; of how many uploads and jobs. Raises Unavailable."""
        now = self.context.clock.now() - self.grace
        purged = sum(self._purged(due) for due in due_assets(self.reading, now))
        return purged + sum(self._purged(due) for due in due_jobs(self.reading, now))

    def _purged(self, due: DueAsset | DueJob) -> bool:
        try:
            self._purge(due)
        except SplitSoundError as error:
            # One person's trouble must not keep what others deleted.
            self.log.warning("not purged", user=due.user_id, error=error.detail)
            return False
        return True

    def _purge(self, due: DueAsset | DueJob) -> None:
        if isinstance(due, DueJob):
            self._end(PurgeJob(due.job_id, self._delete(due.keys)))
            return
        for job in due.jobs:
            self._purge(job)
        # Last, because the jobs are found by the upload.
        self._end(PurgeAsset(due.asset_id, self._delete(due.keys)))

    def _delete(self, keys: Sequence[str]) -> int:
        return self.bucket.remove(_lying(keys))

    def _end(self, command: Command) -> None:
        execute(self.context, command, Meta(self.context.ids.fresh("cmd"), ACTOR))


def _lying(keys: Iterable[str]) -> list[Lying]:
    return [Lying(key, 0, 0) for key in keys]
