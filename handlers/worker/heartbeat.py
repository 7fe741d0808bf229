"""A sign of life once a second, for as long as a job runs.

It keeps the queue's message invisible, reports progress, and notices when the job is no
longer this attempt's: cancelled, taken over, or the process has to go. Each of the three goes on
when another fails or hangs. Visibility counts from the call on, so no clock matters; a message
that comes back to the queue all the same finds whoever receives it a beat that changes, see
``handlers.worker.liveness``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from commands.ports import Clock, EventStore
from domain.errors import SplitSoundError
from domain.job import JOB, RUNNING
from infra.operations import DynamoDBOperations, Progress
from infra.queue import Message, Queue

BEAT_SECONDS = 1.0


class Heartbeat:
    """``async with``; the pipeline sets ``stage`` and ``done`` and asks ``cancelled()``."""

    def __init__(
        self,
        job_id: str,
        attempt: int,
        worker: str,
        *,
        message: Message,
        queue: Queue,
        visibility: int,
        store: EventStore,
        operations: DynamoDBOperations,
        clock: Clock,
        log: Any,
    ) -> None:
        self.job_id, self.attempt, self._worker = job_id, attempt, worker
        self.stage, self.done = "", 0.0
        self._message, self._queue, self._visibility = message, queue, visibility
        self._store, self._operations, self._clock = store, operations, clock
        self._log = log
        self._stopped = ""
        self._ours = True
        self._speaking, self._silent = threading.Lock(), False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def stopped(self) -> str:
        """Why the work must stop: ``lost`` (cancelled or taken over), ``draining`` or empty."""
        return self._stopped

    def cancelled(self) -> bool:
        """Whether to stop now; asked between stages and between chunks."""
        return bool(self._stopped)

    def stop(self, reason: str) -> None:
        """Make ``cancelled()`` true."""
        self._stopped = self._stopped or reason

    def enter(self, stage: str) -> None:
        """A stage begins."""
        self.stage, self.done = stage, 0.0

    def fall_silent(self) -> None:
        """Say that this attempt is over, so that a successor need not wait for silence.

        A beat that is on its way in another thread must not come after it. Raises nothing: what
        ended the attempt counts, and without a word the successor waits.
        """
        with self._speaking:
            self._silent = True
            try:
                self._say(0)
            except SplitSoundError as error:
                self._log.warning("end not told", job=self.job_id, error=error.detail)

    async def __aenter__(self) -> Heartbeat:
        await asyncio.to_thread(self._report)
        parts = ((BEAT_SECONDS, self._report), (BEAT_SECONDS, self._look))
        extending = (max(BEAT_SECONDS, self._visibility / 3), self._extend)
        self._tasks = [asyncio.create_task(self._every(*each)) for each in (*parts, extending)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _every(self, seconds: float, part: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._try(part)

    async def _try(self, part: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(part)
        except SplitSoundError as error:
            # A missed beat is not the end: silence lasts many beats before it counts.
            self._log.warning("beat missed", job=self.job_id, error=error.detail)
        except Exception:
            # Else this part would end here unheard, and the job go to another worker.
            self._log.exception("beat broken", job=self.job_id)

    def _extend(self) -> None:
        if self._ours and not self._queue.hide(self._message, self._visibility):
            # This delivery is over. The attempt is not: the beat keeps others from the job.
            self._ours = False
            self._log.warning("message came back to the queue", job=self.job_id)

    def _look(self) -> None:
        state = self._store.load(JOB, JOB.stream(self.job_id)).state
        if state.status != RUNNING or state.attempt != self.attempt:
            self.stop("lost")

    def _report(self) -> None:
        with self._speaking:
            if not self._silent:
                self._say(self._clock.now())

    def _say(self, now: int) -> None:
        progress = Progress(self.attempt, self._worker, self.stage, self.done, now)
        self._operations.report(self.job_id, progress)
