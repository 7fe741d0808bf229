"""The sweeper: each minute it rings for work whose message was lost, and ends dead jobs.

- A job or an upload that waits while its queue holds fewer messages than there is work:
  some message was lost, so every waiting one rings again. Ringing twice is harmless.
- A running job without a sign of life rings again: its worker died and so did the message.
- A message in a dead-letter queue ends its job as failed, with its credits released, or
  rejects its upload: nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import projections
from commands import Context, FailSeparation, RejectAsset, execute
from domain import asset, job
from domain.asset import ASSET
from domain.commit import Meta
from domain.errors import SplitSoundError
from domain.job import JOB
from infra.operations import DynamoDBOperations
from infra.queue import Message, Queue
from projections.catch_up import Reading
from projections.doorbell import Doorbell, envelope, parse
from projections.ports import Row

ACTOR = "sweeper"


@dataclass(frozen=True)
class Work:
    """A kind of work: its queue and its dead letters."""

    queue: Queue
    dead: Queue


@dataclass(frozen=True)
class Sweeper:
    """grace: milliseconds that work may wait, or a worker be silent, before it rings again."""

    context: Context
    reading: Reading
    operations: DynamoDBOperations
    separation: Work
    probe: Work
    grace: int
    log: Any

    def sweep(self, grace: int | None = None) -> int:
        """Once over everything; how many doorbells were rung or jobs ended.

        grace: instead of the usual one; 0 at the start of a stack that was killed.
        """
        patience = self.grace if grace is None else grace
        return (
            self._ring_waiting(self.separation, JOB, self._queued_jobs(patience))
            + self._ring_waiting(self.probe, ASSET, self._unprobed(patience))
            + self._ring_silent(patience)
            + self._bury(self.separation, self._end_job)
            + self._bury(self.probe, self._reject_upload)
        )

    def _queued_jobs(self, grace: int) -> list[Row]:
        return list(self._older("jobs", job.QUEUED, grace))

    def _unprobed(self, grace: int) -> list[Row]:
        return list(self._older("library", asset.UPLOADED, grace))

    def _older(self, name: str, status: str, grace: int) -> Iterator[Row]:
        projection = projections.ALL[name]
        generation = projection.generation(self.reading.generations.live(name))
        before = self.context.clock.now() - grace
        for row in self.reading.rows.with_status(generation, status):
            if projection.read(row).changed <= before:
                yield row

    def _ring_waiting(self, work: Work, aggregate: Any, rows: list[Row]) -> int:
        if not rows or work.queue.depth() >= len(rows):
            return 0
        return sum(self._ring(work.queue, aggregate, row) for row in rows)

    def _ring_silent(self, grace: int) -> int:
        rung = 0
        for row in self._older("jobs", job.RUNNING, grace):
            if not self._alive(row.stream.partition("-")[2], grace):
                rung += self._ring(self.separation.queue, JOB, row)
        return rung

    def _alive(self, job_id: str, grace: int) -> bool:
        progress = self.operations.progress(job_id)
        return progress is not None and progress.beat > self.context.clock.now() - grace

    def _ring(self, queue: Queue, aggregate: Any, row: Row) -> int:
        event = job.SeparationRequested if aggregate is JOB else asset.UploadCompleted
        bell = Doorbell(row.stream, row.version, row.version, (event.__name__,), 0, ACTOR)
        queue.send(envelope(bell))
        self.log.info("rang again", stream=row.stream)
        return 1

    def _bury(self, work: Work, end: Any) -> int:
        ended = 0
        while messages := work.dead.receive(most=10, wait=0):
            for message in messages:
                ended += self._bury_one(work, message, end)
        return ended

    def _bury_one(self, work: Work, message: Message, end: Any) -> int:
        try:
            doorbell = parse(message.body)
            end(doorbell, message)
        except SplitSoundError as error:
            # It stays in the dead-letter queue and the next sweep tries again.
            self.log.warning("dead message stays", message=message.id, error=error.detail)
            return 0
        except Exception:
            self.log.exception("dead message is not ours", message=message.id, body=message.body)
        work.dead.delete(message)
        return 1

    def _end_job(self, doorbell: Doorbell, message: Message) -> None:
        if self._alive(doorbell.identity, self.grace):
            return  # a duplicate died; the job itself is in good hands
        detail = "The job could not be finished after several tries. It cost nothing; try again."
        command = FailSeparation(doorbell.identity, None, "", "worker_gave_up", detail)
        execute(self.context, command, Meta(f"bury-{message.id}", ACTOR, cause=doorbell.cmd))
        self.log.warning("job ended", job=doorbell.identity)

    def _reject_upload(self, doorbell: Doorbell, message: Message) -> None:
        detail = "The file could not be examined after several tries. Upload it again."
        command = RejectAsset(doorbell.identity, "probe_failed", detail)
        execute(self.context, command, Meta(f"bury-{message.id}", ACTOR, cause=doorbell.cmd))
        self.log.warning("upload rejected", asset=doorbell.identity)
