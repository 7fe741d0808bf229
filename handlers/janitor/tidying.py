"""Storage kept tidy: soon after a job has ended, and every night against all histories.

What an attempt that was taken over or cancelled still uploads after its job was tidied is found at
night, a day later at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from commands import Context
from domain.commit import Meta
from handlers.operating.strays import Compared, Comparing
from handlers.operating.tidying import tidy
from infra.media_bucket import MediaBucket
from infra.operations import DynamoDBOperations
from projections import JOBS_VIEW
from projections.catch_up import Reading, catch_up
from projections.jobs import UNTIDY
from projections.ports import Row

ACTOR = "janitor"
GRACE_MS = 30_000
"""Within it a worker has noticed that its job was cancelled."""
DAY_MS, RETRY_MS = 24 * 3600 * 1000, 10 * 60 * 1000
MOST = 200


@dataclass(frozen=True)
class Tidying:
    """grace: ms since the end of a job before it is tidied; most: jobs at once."""

    context: Context
    reading: Reading
    operations: DynamoDBOperations
    bucket: MediaBucket
    log: Any
    grace: int = GRACE_MS
    most: int = MOST
    # When to look again at those that made trouble, or are not ours to tidy: no other job waits
    # behind them.
    _later: dict[str, int] = field(default_factory=dict)

    def once(self) -> int:
        """Tidy the ended jobs that nobody has tidied, oldest first; how many."""
        generation = JOBS_VIEW.generation(self.reading.generations.live(JOBS_VIEW.name))
        done = tried = 0
        for row in self.reading.rows.with_status(generation, UNTIDY):
            if tried == self.most:
                break
            if not self._is_due(row):
                continue
            tried += 1
            done += self._tidy(generation, row)
        return done

    def nightly(self) -> Compared | None:
        """Compare everything once a day and remove yesterday's strays; None when it is not time.

        A night that failed is tried again, not before RETRY_MS have passed.
        """
        now, last = self.context.clock.now(), self.operations.swept("media")
        if not last:
            self.operations.note_swept("media", now)
            return None
        if now - last < DAY_MS or now - self.operations.swept("media tried") < RETRY_MS:
            return None
        self.operations.note_swept("media tried", now)
        found = Comparing(self.context.store, self.bucket, self.context.clock.now).run(DAY_MS)
        self.operations.note_swept("media", now)
        if found.strays or found.lost:
            self.log.warning(
                "storage differs from the histories", strays=len(found.strays),
                removed=found.removed, lost=len(found.lost),
            )  # fmt: skip
        return found

    def _is_due(self, row: Row) -> bool:
        now = self.context.clock.now()
        if now < self._later.get(row.stream, 0):
            return False
        ended: int = JOBS_VIEW.read(row).ended
        return ended <= now - self.grace

    def _tidy(self, generation: str, row: Row) -> int:
        try:
            catch_up(JOBS_VIEW, row.stream, self.reading)
            fresh = self.reading.rows.head(generation, row.stream)
            if fresh is None or fresh.status != UNTIDY or not self._is_due(fresh):
                return 0
            job_id = JOBS_VIEW.read(fresh).job_id
            meta = Meta(self.context.ids.fresh("cmd"), ACTOR)
            done = tidy(self.context, self.bucket, job_id, meta)
        except Exception:
            self._later[row.stream] = self.context.clock.now() + RETRY_MS
            self.log.exception("not tidied", stream=row.stream)
            return 0
        if done is None:
            self._later[row.stream] = self.context.clock.now() + DAY_MS
            return 0
        self._later.pop(row.stream, None)
        if done.objects or done.uploads:
            self.log.info(
                "tidied", job=job_id, objects=done.objects, bytes=done.bytes, uploads=done.uploads
            )
        return 1
