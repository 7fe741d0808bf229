"""A sign of life once a second, for as long as a job runs.

It keeps the queue's message invisible, reports progress, and notices when the job is no
longer this attempt's: cancelled, taken over, or the process has to go.
"""

from __future__ import annotations

import asyncio
import threading
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
        self._speaking, self._silent = threading.Lock(), False
        self._task: asyncio.Task[None] | None = None

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

        A beat that is on its way in another thread must not come after it.
        """
        with self._speaking:
            self._silent = True
            self._say(0)

    async def __aenter__(self) -> Heartbeat:
        await asyncio.to_thread(self._report)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        extend_every = max(1, self._visibility // 3)
        beat = 0
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            beat += 1
            try:
                await asyncio.to_thread(self._beat, beat % extend_every == 0)
            except SplitSoundError as error:
                # A missed beat is not the end: silence lasts many beats before it counts.
                self._log.warning("beat missed", job=self.job_id, error=error.detail)

    def _beat(self, extend: bool) -> None:
        self._report()
        if extend:
            self._queue.hide(self._message, self._visibility)
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
