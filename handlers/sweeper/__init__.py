"""The sweeper: each minute it rings for work whose message was lost, and ends dead jobs.

- A job or an upload that has waited longer than its grace rings again, and so does a
  running job without a sign of life: its worker died and so, perhaps, did the message.
  Nobody can tell a lost message from a long queue, so each rings at most once per tenfold
  grace; a needless ring is harmless.
- A message in a dead-letter queue ends its job as failed, with its credits released, or
  rejects its upload: nobody waits for ever.

No clock but the sweeper's own decides: a worker is dead when its beat has not changed for
``stale`` by the sweeper's clock, see ``handlers.sweeper.watching``.

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
from domain.commit import Meta
from domain.controls import of_model
from domain.errors import SplitSoundError, StaleAttempt
from domain.job import JOB
from handlers.operating.sleeping import sleeps
from handlers.sweeper.watching import Watch
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
    """Milliseconds. grace: that work may wait before it rings again; stale: that a worker may be
    silent, by what this sweeper saw of it.
    """

    context: Context
    reading: Reading
    operations: DynamoDBOperations
    separation: Work
    probe: Work
    grace: int
    stale: int
    log: Any

    def sweep(self, grace: int | None = None) -> int:
        """Once over everything; how many doorbells were rung or jobs ended.

        grace: instead of the usual ones; 0 at the start of a stack that was killed, whose workers
        are dead for certain.
        """
        waiting: list[tuple[Projection[Any], str]] = [
            (JOBS_VIEW, job.QUEUED),
            (JOBS_VIEW, job.RUNNING),
            (LIBRARY_VIEW, asset.UPLOADED),
        ]
        rung = sum(self._ring_all(view, status, grace) for view, status in waiting)
        return (
            rung
            + self._bury(self.separation, self._end_job)
            + self._bury(self.probe, self._reject_upload)
        )

    def _ring_all(self, projection: Projection[Any], status: str, grace: int | None) -> int:
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
        self, projection: Projection[Any], generation: str, row: Row, grace: int | None
    ) -> bool:
        catch_up(projection, row.stream, self.reading)
        fresh = self.reading.rows.head(generation, row.stream)
        if fresh is None or fresh.status != row.status:
            return False
        patience = self.grace if grace is None else grace
        if row.status == job.RUNNING:
            due = self._is_dead(fresh, projection.read(fresh).attempt, grace)
        else:
            due = self._has_waited(fresh, projection.read(fresh).changed, patience)
        last = self.operations.rung(row.stream)
        now = self.context.clock.now()
        if not due or (last is not None and last > now - 10 * patience):
            return False
        if sleeps(self.context, row.stream):
            return False
        if projection is JOBS_VIEW and self._is_paused(projection.read(fresh).model):
            return False  # a worker would put it back; the first sweep after the resume rings
        self._ring(projection, fresh)
        return True

    def _is_paused(self, model: str) -> bool:
        return of_model(model) in self.context.switchboard.state().paused

    def _has_waited(self, row: Row, changed: int, grace: int) -> bool:
        # By the clock of whoever changed it last, because a needless ring is harmless; by ours
        # where that clock runs ahead.
        look = self._watch.look(row.stream, row.version)
        return changed <= self.context.clock.now() - grace or look.unchanged > grace

    def _is_dead(self, row: Row, attempt: int, grace: int | None) -> bool:
        if grace == 0 or self._fell_silent(row.stream, attempt):
            return True
        patience = self.stale if grace is None else grace
        return self._watch.look(row.stream, row.version).unchanged >= patience

    def _fell_silent(self, stream: str, attempt: int) -> bool:
        """Whether the attempt said itself that it is over."""
        progress = self.operations.progress(stream.partition("-")[2])
        return progress is not None and progress.attempt == attempt and not progress.beat

    @property
    def _watch(self) -> Watch:
        return Watch(self.operations, self.context.clock)

    def _ring(self, projection: Projection[Any], row: Row) -> None:
        work, event, lane = self.probe, asset.UploadCompleted.__name__, ""
        if projection is JOBS_VIEW:
            work, event = self.separation, job.SeparationRequested.__name__
            lane = projection.read(row).lane
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
            if not end(parse(message.body), message):
                return 0
        except msgspec.MsgspecError:
            self.log.exception("dead message is not ours", message=message.id, body=message.body)
        except Exception:
            # Somebody's credits hang on it: it stays, and the next sweep tries again.
            self.log.exception("dead message stays", message=message.id)
            return 0
        work.dead.delete(message)
        return 1

    def _end_job(self, doorbell: Doorbell, message: Message) -> bool:
        """Whether the letter is done with; it stays until the worker is known to live or not."""
        loaded = self.context.store.load(JOB, doorbell.stream)
        state = loaded.state
        if state.status not in job.OPEN:
            return True
        if state.status == job.RUNNING and not self._fell_silent(doorbell.stream, state.attempt):
            look = self._watch.look(doorbell.stream, loaded.version)
            if look.unchanged < self.stale:
                # Moved: a duplicate died and the job is in good hands. Else nobody knows yet.
                return look.moved
        # By the attempt that was judged: one that begins meanwhile is not ended with it.
        command = FailSeparation(
            doorbell.identity, state.attempt, "", job.GAVE_UP, job.GAVE_UP_DETAIL
        )
        with suppress(StaleAttempt):
            execute(self.context, command, _meta(doorbell, message))
            self.log.warning("job ended", job=doorbell.identity)
        return True

    def _reject_upload(self, doorbell: Doorbell, message: Message) -> bool:
        detail = "The file could not be examined after several tries. Upload it again."
        command = RejectAsset(doorbell.identity, "probe_failed", detail)
        execute(self.context, command, _meta(doorbell, message))
        self.log.warning("upload rejected", asset=doorbell.identity)
        return True


def _meta(doorbell: Doorbell, message: Message) -> Meta:
    """It follows from whatever rang in vain."""
    return Meta(f"bury-{message.id}", ACTOR, doorbell.corr, doorbell.cmd, doorbell.trace)
