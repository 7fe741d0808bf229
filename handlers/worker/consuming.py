"""A worker's lanes, each consumed one message after the other, all of them at once.

Draining: no new message is taken, and what still runs after the grace is handed back at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from domain.audio import Cancelled
from domain.errors import SplitSoundError, Unavailable
from infra.queue import Message, Queue

FAULT_SECONDS = 1.0
# A message whose handling broke comes back after this long, times its deliveries.
RETRY_SECONDS = 5
# Handlers look between chunks whether to stop; a transfer that does not is cut off after this.
HANDOVER_SECONDS = 8.0


class Handler(Protocol):
    """What a queue's messages are given to."""

    @property
    def queue(self) -> Queue:
        """Where they come from."""

    async def handle(self, message: Message) -> bool:
        """Work on it; whether the message is done with."""

    def drain(self) -> None:
        """Stop soon and leave the work to another worker."""


class Patience(Struct, frozen=True):
    """Seconds. poll: of a long poll; visibility: for which nobody else gets a message; drain: that
    running work may take to end once the worker has to go.
    """

    poll: int
    visibility: int
    drain: float


class Consumer:
    """handlers: by lane."""

    def __init__(self, handlers: Mapping[str, Handler], patience: Patience, log: Any) -> None:
        self._handlers = handlers
        self._patience = patience
        self._log = log
        self._stop = asyncio.Event()
        self._busy: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def busy(self) -> tuple[str, ...]:
        """The lanes that a message is being worked on in."""
        return tuple(lane for lane in self._handlers if lane in self._busy)

    @property
    def draining(self) -> bool:
        """Whether no new message is taken."""
        return self._stop.is_set()

    async def run(self) -> None:
        """Until drained, or until a lane breaks, which ends the others too."""
        self._tasks = [asyncio.create_task(self._consume(lane)) for lane in self._handlers]
        try:
            await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self, grace: float | None = None) -> None:
        """Take no new message; what still runs after ``grace`` seconds is handed back.

        grace: the usual one unless told. Called again, the one that ends first counts.
        """
        seconds = self._patience.drain if grace is None else min(grace, self._patience.drain)
        self._log.info("draining", grace=round(seconds, 1), busy=self.busy)
        self._stop.set()
        if await self._ended(seconds):
            return
        for lane in self.busy:
            self._handlers[lane].drain()
        if await self._ended(HANDOVER_SECONDS):
            return
        for task in self._tasks:
            task.cancel()

    async def _ended(self, seconds: float) -> bool:
        if not self._tasks:
            return True
        _, running = await asyncio.wait(self._tasks, timeout=seconds)
        return not running

    async def _consume(self, lane: str) -> None:
        handler = self._handlers[lane]
        while not self._stop.is_set():
            try:
                for message in await self._receive(handler.queue):
                    await self._one(lane, handler, message)
            except Unavailable as error:
                self._log.warning("queue did not answer", lane=lane, error=error.detail)
                await asyncio.sleep(FAULT_SECONDS)

    async def _receive(self, queue: Queue) -> list[Message]:
        return await asyncio.to_thread(
            queue.receive, 1, self._patience.poll, self._patience.visibility
        )

    async def _one(self, lane: str, handler: Handler, message: Message) -> None:
        if self._stop.is_set():
            # It came with the last poll, and nobody has begun to work on it.
            await asyncio.to_thread(handler.queue.hide, message, 0)
            return
        self._busy.add(lane)
        try:
            await self._handle(handler, message)
        finally:
            self._busy.discard(lane)

    async def _handle(self, handler: Handler, message: Message) -> None:
        done, back_in = False, 0
        try:
            done = await handler.handle(message)
        except Cancelled:
            pass
        except Exception:
            # Whatever broke, the message survives: another try, then the dead letters,
            # where the sweeper ends the job and gives the credits back.
            back_in = RETRY_SECONDS * message.deliveries
            self._log.exception("message comes back", message=message.id, seconds=back_in)
        except BaseException as error:
            # Cut off, or of no use any more: another worker may begin at once.
            await self._settle(handler.queue, message, done=False, back_in=0)
            if isinstance(error, asyncio.CancelledError) and self._stop.is_set():
                return
            raise
        await self._settle(handler.queue, message, done, back_in)

    async def _settle(self, queue: Queue, message: Message, done: bool, back_in: int) -> None:
        try:
            if done:
                await asyncio.to_thread(queue.delete, message)
            else:
                await asyncio.to_thread(queue.hide, message, back_in)
        except SplitSoundError as error:
            # It becomes visible by itself, and whoever gets it then finds how far the job is.
            self._log.warning("message not settled", message=message.id, error=error.detail)
