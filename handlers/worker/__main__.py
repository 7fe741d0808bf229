"""Run a worker: one probe and one separation at a time, until SIGTERM drains it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any, Protocol

from domain.audio import Cancelled
from domain.errors import Unavailable
from handlers.worker.probe import Probe
from handlers.worker.separation import Separation
from handlers.worker.workplace import Workplace
from infra.bootstrap import Application
from infra.logs import configure
from infra.queue import Message, Queue
from infra.settings import from_environment, served

FAULT_SECONDS = 1.0
# A message whose handling broke comes back after this long, times its deliveries.
RETRY_SECONDS = 5


class Handler(Protocol):
    """What a queue's messages are given to."""

    @property
    def queue(self) -> Queue:
        """Where they come from."""

    async def handle(self, message: Message) -> bool:
        """Work on it; whether the message is done with."""

    def drain(self) -> None:
        """Stop soon and leave the work to another worker."""


class Worker:
    """Consumes queues until it is stopped."""

    def __init__(self, application: Application, log: Any) -> None:
        self._settings = application.settings
        self._log = log
        self._stop = asyncio.Event()

    async def consume(self, handler: Handler) -> None:
        """One message after the other."""
        queue, settings = handler.queue, self._settings
        while not self._stop.is_set():
            try:
                messages = await asyncio.to_thread(
                    queue.receive, 1, settings.poll_seconds, settings.visibility_seconds
                )
                for message in messages:
                    await self._one(handler, message)
            except Unavailable as error:
                self._log.warning("queue did not answer", error=error.detail)
                await asyncio.sleep(FAULT_SECONDS)

    async def _one(self, handler: Handler, message: Message) -> None:
        done = False
        back_in = RETRY_SECONDS * message.deliveries
        try:
            done = await handler.handle(message)
            back_in = 0
        except Cancelled:
            back_in = 0
        except Exception:
            # Whatever broke, the message survives: another try, then the dead letters,
            # where the sweeper ends the job and gives the credits back.
            self._log.exception("message comes back", message=message.id, seconds=back_in)
        if done:
            await asyncio.to_thread(handler.queue.delete, message)
        else:
            await asyncio.to_thread(handler.queue.hide, message, back_in)

    async def drain(self, handlers: list[Handler]) -> None:
        """Take no new message; what still runs after the grace is handed on."""
        self._log.info("draining")
        self._stop.set()
        await asyncio.sleep(self._settings.drain_seconds)
        for handler in handlers:
            handler.drain()


async def main() -> None:
    """Until SIGTERM or SIGINT."""
    settings = from_environment()
    log = configure("worker", settings.log_level)
    name = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"
    application = Application(settings, f"worker-{os.getpid()}")
    workplace = Workplace(settings.work_directory)
    worker = Worker(application, log)
    async with application.objects:
        handlers: list[Handler] = [
            Probe(application, name, workplace, log)
            if lane == "probe"
            else Separation(application, name, workplace, log, lane)
            for lane in served(settings)
        ]
        loop = asyncio.get_running_loop()
        drains: list[asyncio.Task[None]] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(
                number, lambda: drains.append(loop.create_task(worker.drain(handlers)))
            )
        log.info("started", worker=name)
        await asyncio.gather(*(worker.consume(h) for h in handlers))
    workplace.close()
    log.info("stopped")


if __name__ == "__main__":
    asyncio.run(main())
