"""One separation, from message to committed end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from commands import (
    CompleteSeparation,
    FailSeparation,
    HandBack,
    RecordStage,
    StartSeparation,
    execute,
)
from commands.dispatch import Command
from domain import controls
from domain.audio import Cancelled
from domain.commit import Meta
from domain.errors import JobError, ModelError, StaleAttempt, Unavailable
from domain.job import JOB, OPEN, RUNNING, JobState
from handlers.worker.heartbeat import Heartbeat
from handlers.worker.liveness import is_alive
from handlers.worker.making import Making
from handlers.worker.metrics import Metrics
from handlers.worker.stages import Stages
from handlers.worker.workplace import Workplace
from infra import tracing
from infra.bootstrap import Application
from infra.queue import Message, Queue
from projections.doorbell import Doorbell, parse

# While a deployment changes, some workers lack a model that others have. So often a job of it is
# left to them; SQS delivers a message five times before it is dead.
DELIVERIES_FOR_OTHERS = 3


class Separation:
    """Handles messages of one lane, one at a time."""

    def __init__(
        self,
        application: Application,
        worker: str,
        workplace: Workplace,
        log: Any,
        lane: str,
        metrics: Metrics | None = None,
    ) -> None:
        self._app = application
        self._worker = worker
        self._workplace = workplace
        self._log = log
        self._queue: Queue = application.queue(lane)
        self._metrics = metrics or Metrics(workplace.root)
        self._running: Heartbeat | None = None
        self._bell: Doorbell

    @property
    def queue(self) -> Queue:
        """Where its messages come from."""
        return self._queue

    def drain(self) -> None:
        """Stop the running job between two chunks and leave it to another worker."""
        if self._running:
            self._running.stop("draining")

    async def handle(self, message: Message) -> bool:
        """Work on the job that the message names; whether the message is done with."""
        bell = parse(message.body)
        with tracing.stage("separate", bell.trace, tracing.CONSUMER, job=bell.identity):
            return await self._handle(message, bell)

    async def _handle(self, message: Message, bell: Doorbell) -> bool:
        job_id, self._bell = bell.identity, bell
        state = await self._claim(job_id, message.deliveries)
        if state is None:
            return True
        heart = Heartbeat(
            job_id,
            state.attempt,
            self._worker,
            message=message,
            queue=self._queue,
            visibility=self._app.settings.visibility_seconds,
            store=self._app.store,
            operations=self._app.operations,
            clock=self._app.clock,
            log=self._log,
        )
        self._running = heart
        try:
            async with heart:
                return await self._work(state, heart)
        finally:
            self._running = None

    async def _claim(self, job_id: str, deliveries: int) -> JobState | None:
        """The job as this worker's attempt; None when there is nothing to do.

        Raises Unavailable for a model that only other workers may have.
        """
        state = await self._state(job_id)
        if state.status not in OPEN or await self._is_in_good_hands(job_id, state):
            return None
        if await self._is_paused(job_id, state):
            return None
        if deliveries <= DELIVERIES_FOR_OTHERS and not self._has(state.asked.model):
            raise Unavailable(f"This worker has no model {state.asked.model!r}; others may.")
        await self._execute(StartSeparation(job_id, self._worker))
        state = await self._state(job_id)
        if state.status != RUNNING or state.worker != self._worker:
            return None
        self._log.info("claimed", job=job_id, attempt=state.attempt, kept=len(state.stored))
        return state

    def _has(self, model: str) -> bool:
        return model in self._app.separators.models

    async def _is_paused(self, job_id: str, state: JobState) -> bool:
        # The message goes and the job stays queued; the sweeper rings for it after the resume.
        # A pause of intake lets nothing new in: what was accepted is worked on.
        subject = controls.of_model(state.asked.model)
        switches = await asyncio.to_thread(self._app.switchboard.state)
        if subject not in switches.paused:
            return False
        self._log.info("left queued", job=job_id, paused=subject)
        return True

    async def _is_in_good_hands(self, job_id: str, state: JobState) -> bool:
        # Deliveries are duplicated now and then. Taking a job over from a worker that is
        # alive would do the work twice; if it dies, its own message comes back, and the
        # sweeper rings for jobs that fell silent.
        if state.status != RUNNING:
            return False
        patience = self._app.settings.stale_seconds
        return await is_alive(self._app.operations, job_id, state.attempt, patience)

    async def _work(self, state: JobState, heart: Heartbeat) -> bool:
        try:
            await self._run(state, heart)
        except JobError as error:
            await self._fail(state, heart, error)
        except (Cancelled, StaleAttempt):
            return await self._give_up(state, heart)
        except BaseException:
            await asyncio.to_thread(heart.fall_silent)
            raise
        return True

    async def _run(self, state: JobState, heart: Heartbeat) -> None:
        begun, asked = time.monotonic(), state.asked
        if not self._has(asked.model):
            raise ModelError(
                "model_unavailable",
                f"The model {asked.model!r} is no longer offered here. It cost nothing; choose "
                "another one.",
            )

        async def record(stage: str, milliseconds: int, tries: int) -> None:
            self._metrics.stage(stage, asked.model, milliseconds / 1000)
            await self._execute(
                RecordStage(heart.job_id, heart.attempt, stage, milliseconds, tries)
            )

        audio_seconds = asked.samples / asked.rate
        stages = Stages(heart, audio_seconds, record, self._log)
        making = Making(self._app, self._workplace, heart, stages, self._execute, self._metrics)
        stored, gain_db, bundle = await making.make(state)
        files = tuple(stored[name].file for name in asked.stems)
        await self._execute(CompleteSeparation(heart.job_id, heart.attempt, files, gain_db, bundle))
        took = time.monotonic() - begun - making.loading
        self._metrics.ended(asked.model, "completed")
        if not state.stored:
            self._metrics.audio(asked.model, audio_seconds, took)
            await asyncio.to_thread(self._app.speeds.note, asked.model, audio_seconds, took)
        self._log.info("completed", job=heart.job_id, attempt=heart.attempt, seconds=round(took, 3))

    async def _fail(self, state: JobState, heart: Heartbeat, error: JobError) -> None:
        command = FailSeparation(heart.job_id, heart.attempt, heart.stage, error.code, error.detail)
        try:
            await self._execute(command)
        except StaleAttempt:
            return  # another worker has the job; the failure is no longer ours to tell
        except Unavailable:
            await asyncio.to_thread(heart.fall_silent)  # the next attempt need not wait
            raise
        self._metrics.ended(state.asked.model, error.code)
        self._log.warning("failed", job=heart.job_id, stage=heart.stage, code=error.code)

    async def _give_up(self, state: JobState, heart: Heartbeat) -> bool:
        """Discard the work. A job that is handed on wakes another worker by that commit.

        Its message goes: five deliveries would bury a job whose workers all had to go.
        """
        self._log.info("discarded", job=heart.job_id, attempt=heart.attempt, why=heart.stopped)
        draining = heart.stopped == "draining"
        self._metrics.ended(state.asked.model, "handed_on" if draining else "lost")
        if not draining:
            return True
        await asyncio.to_thread(heart.fall_silent)
        try:
            await self._execute(HandBack(heart.job_id, heart.attempt))
        except Unavailable:
            return False
        except StaleAttempt:
            pass  # it has ended or another worker has it: there is nothing to hand on
        return True

    async def _state(self, job_id: str) -> JobState:
        loaded = await asyncio.to_thread(self._app.store.load, JOB, JOB.stream(job_id))
        return loaded.state  # type: ignore[no-any-return]

    async def _execute(self, command: Command) -> None:
        bell = self._bell
        meta = Meta(
            self._app.ids.fresh("cmd"), f"worker:{self._worker}", bell.corr, bell.cmd,
            tracing.current(),
        )  # fmt: skip
        await asyncio.to_thread(execute, self._app.context, command, meta)
