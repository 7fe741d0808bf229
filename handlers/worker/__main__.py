"""Run a worker: one job at a time in each of its lanes, until SIGTERM or EC2 drains it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.errors import Invalid
from handlers.worker.consuming import Consumer, Handler, Patience
from handlers.worker.metrics import Metrics
from handlers.worker.probe import Probe
from handlers.worker.protection import Protection
from handlers.worker.pulsing import Pulsing
from handlers.worker.separation import Separation
from handlers.worker.spot import Spot
from handlers.worker.workplace import Workplace
from infra import heap, tracing
from infra.bootstrap import Application
from infra.logs import configure
from infra.operations import WorkerPulse
from infra.settings import from_environment, served

# Per lane a long poll, a heartbeat's parts and the stages of a job; none may wait for another's.
THREADS_PER_LANE = 12


class Worker:
    """One process: its lanes, its pulse, its metrics, and what makes it go."""

    def __init__(self, application: Application, log: Any) -> None:
        settings = application.settings
        self._application, self._log = application, log
        # Read now, in nobody's way: a store of models that is broken ends the worker here.
        self._separators = application.separators
        self.name = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"
        self._lanes = served(settings)
        self.workplace = Workplace(settings.work_directory)
        disk = settings.work_directory or Path(tempfile.gettempdir())
        self.metrics = Metrics(disk, self._lanes, lambda: self._consumer.busy)
        patience = Patience(
            settings.poll_seconds, settings.visibility_seconds, settings.drain_seconds
        )
        handlers = {lane: self._handler(lane) for lane in self._lanes}
        self._consumer = Consumer(handlers, patience, log)
        self._pulsing = Pulsing(
            application.pulses, application.clock, self._state, settings.pulse_seconds, log
        )
        self._beside: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until drained."""
        settings = self._application.settings
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(THREADS_PER_LANE * len(self._lanes)))
        if settings.metrics_port:
            self.metrics.serve(settings.metrics_port, settings.metrics_host)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self._run_beside(self._consumer.drain()))
        async with self._application.objects:
            self._run_beside(self._pulsing.run())
            if settings.metadata_url:
                spot = Spot(settings.metadata_url, self._consumer.drain, self._log)
                self._run_beside(spot.watch())
            if agent := os.environ.get("ECS_AGENT_URI"):
                protection = Protection(agent, lambda: bool(self._consumer.busy), self._log)
                self._run_beside(protection.watch())
            self._log.info("started", worker=self.name, lanes=self._lanes)
            try:
                await self._consumer.run()
            finally:
                for task in self._beside:
                    task.cancel()
                await asyncio.gather(*self._beside, return_exceptions=True)
                await self._pulsing.note()

    def _run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._beside.append(asyncio.get_running_loop().create_task(self._told(work)))

    async def _told(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            # The lanes go on; nobody else would hear that this does not.
            self._log.exception("broken beside the lanes")

    def _handler(self, lane: str) -> Handler:
        parts = (self._application, self.name, self.workplace, self._log)
        return Probe(*parts) if lane == "probe" else Separation(*parts, lane, self.metrics)

    def _state(self) -> WorkerPulse:
        ended = self._consumer.draining
        return WorkerPulse(
            self.name, 0,
            () if ended else self._lanes,
            self._consumer.busy,
            () if ended else tuple(self._separators.resident()),
        )  # fmt: skip


async def main() -> None:
    """Until drained; then the process ends, whatever its threads are at."""
    settings = from_environment()
    log = configure("worker", settings.log_level)
    heap.settle()
    code = 1
    try:
        with tracing.exporting("worker"):
            worker = Worker(Application(settings, f"worker-{os.getpid()}"), log)
            await worker.run()
        worker.workplace.close()
        log.info("stopped")
        code = 0
    except Invalid as error:
        log.error("cannot start", error=error.detail)
    except BaseException:
        log.exception("broken")
    # Python would wait for every thread, and one that hangs in a network's code or a socket
    # never ends. What they were at has been handed on.
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    asyncio.run(main())
