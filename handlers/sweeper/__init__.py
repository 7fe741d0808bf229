"""The sweeper: each minute it rings for work whose message was lost, and ends dead jobs.

- A job or an upload that has waited longer than its grace rings again, and so does a
  running job without a sign of life: its worker died and so, perhaps, did the message.
  Nobody can tell a lost message from a long queue, so each rings at most once per tenfold
  grace; a needless ring is harmless.
- A message in a dead-letter queue ends its job as failed, with its credits released, or
  rejects its upload: nobody waits for ever.

Rows tell where to look, and each is caught up before it is believed. Work that was imported
from another stage sleeps until somebody acts on it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from commands import Context, FailSeparation, RejectAsset, execute
from domain import asset, job
from domain.commit import JOURNALED, Meta
from domain.controls import of_model
from domain.errors import SplitSoundError, StaleAttempt
from domain.job import JOB
from infra.operations import DynamoDBOperations
from infra.queue import Message, Queue
from projections import JOBS_VIEW, LIBRARY_VIEW
from projections.catch_up import Reading, catch_up
from projections.doorbell import Doorbell, envelope, parse
from projections.ports import Row
from projections.projection import Projection

ACTOR = "sweeper"


@dataclass(frozen=True)
class Work:
    """A kind of work: its queues by lane, the usual one first, and their dead letters."""

    queues: Mapping[str, Queue]
    dead: Queue

    def queue(self, lane: str) -> Queue:
        """That of a lane; the usual one for a lane that this deployment doesn't know."""
        return self.queues.get(lane) or next(iter(self.queues.values()))


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
        waiting: list[tuple[Projection[Any], str]] = [
            (JOBS_VIEW, job.QUEUED),
            (JOBS_VIEW, job.RUNNING),
            (LIBRARY_VIEW, asset.UPLOADED),
        ]
        rung = sum(self._ring_all(view, status, patience) for view, status in waiting)
        return (
            rung
            + self._bury(self.separation, self._end_job)
            + self._bury(self.probe, self._reject_upload)
        )

    def _ring_all(self, projection: Projection[Any], status: str, grace: int) -> int:
        generation = projection.generation(self.reading.generations.live(projection.name))
        rung = 0
        for row in self.reading.rows.with_status(generation, status):
            try:
                rung += int(self._ring_if_due(projection, generation, row, grace))
            except SplitSoundError as error:
                # One stream's trouble must not keep the others waiting.
                self.log.warning("not swept", stream=row.stream, error=error.detail)
        return rung

    def _ring_if_due(
        self, projection: Projection[Any], generation: str, row: Row, grace: int
    ) -> bool:
        catch_up(projection, row.stream, self.reading)
        fresh = self.reading.rows.head(generation, row.stream)
        now = self.context.clock.now()
        if fresh is None or fresh.status != row.status:
            return False
        if projection.read(fresh).changed > now - grace:
            return False
        if row.status == job.RUNNING and self._alive(row.stream.partition("-")[2], grace):
            return False
        last = self.operations.rung(row.stream)
        if (last is not None and last > now - 10 * grace) or self._sleeps(fresh):
            return False
        if projection is JOBS_VIEW and self._is_paused(projection.read(fresh).model):
            return False  # a worker would put it back; the first sweep after the resume rings
        self._ring(projection, fresh)
        return True

    def _is_paused(self, model: str) -> bool:
        return of_model(model) in self.context.switchboard.state().paused

    def _sleeps(self, row: Row) -> bool:
        """Whether the stream's last commit came from another stage."""
        commits = list(self.reading.history.read(row.stream, 0))
        return bool(commits) and commits[-1].origin not in (None, JOURNALED)

    def _alive(self, job_id: str, grace: int) -> bool:
        progress = self.operations.progress(job_id)
        return progress is not None and progress.beat > self.context.clock.now() - grace

    def _ring(self, projection: Projection[Any], row: Row) -> None:
        work, event, lane = self.probe, asset.UploadCompleted.__name__, ""
        if projection is JOBS_VIEW:
            work, event = self.separation, job.SeparationRequested.__name__
            lane = getattr(projection.read(row), "lane", "")
        bell = Doorbell(row.stream, row.version, row.version, (event,), 0, ACTOR, lane=lane)
        work.queue(lane).send(envelope(bell))
        self.operations.note_rung(row.stream)
        self.log.info("rang again", stream=row.stream)

    def _bury(self, work: Work, end: Any) -> int:
        ended = 0
        while messages := work.dead.receive(most=10, wait=0):
            for message in messages:
                ended += self._bury_one(work, message, end)
        return ended

    def _bury_one(self, work: Work, message: Message, end: Any) -> int:
        try:
            end(parse(message.body), message)
        except msgspec.MsgspecError:
            self.log.exception("dead message is not ours", message=message.id, body=message.body)
        except Exception:
            # Somebody's credits hang on it: it stays, and the next sweep tries again.
            self.log.exception("dead message stays", message=message.id)
            return 0
        work.dead.delete(message)
        return 1

    def _end_job(self, doorbell: Doorbell, message: Message) -> None:
        state = self.context.store.load(JOB, doorbell.stream).state
        if state.status not in job.OPEN or self._alive(doorbell.identity, self.grace):
            return  # it has ended, or a duplicate died and the job is in good hands
        # By the attempt that was judged: one that begins meanwhile is not ended with it.
        command = FailSeparation(
            doorbell.identity, state.attempt, "", job.GAVE_UP, job.GAVE_UP_DETAIL
        )
        with suppress(StaleAttempt):
            execute(self.context, command, Meta(f"bury-{message.id}", ACTOR, cause=doorbell.cmd))
            self.log.warning("job ended", job=doorbell.identity)

    def _reject_upload(self, doorbell: Doorbell, message: Message) -> None:
        detail = "The file could not be examined after several tries. Upload it again."
        command = RejectAsset(doorbell.identity, "probe_failed", detail)
        execute(self.context, command, Meta(f"bury-{message.id}", ACTOR, cause=doorbell.cmd))
        self.log.warning("upload rejected", asset=doorbell.identity)
