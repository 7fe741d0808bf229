"""A worker that hands a job on must not be heard of again; one that works on is heard of."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import structlog

from domain.errors import Unavailable
from handlers.worker.heartbeat import Heartbeat
from infra.bootstrap import Application
from infra.operations import Progress
from infra.queue import Message
from tests.world import World


class SlowTable:
    """An operational table whose second write takes half a second, as a retry inside it does."""

    def __init__(self) -> None:
        self.writes = 0
        self.last: Progress | None = None

    def report(self, _job_id: str, progress: Progress) -> None:
        self.writes += 1
        if self.writes == 2:
            time.sleep(0.5)
        self.last = progress


async def test_a_beat_on_its_way_does_not_outlive_the_silence() -> None:
    world, table = World(), SlowTable()
    queue: Any = SimpleNamespace(hide=lambda *_: True)
    operations: Any = table
    heart = Heartbeat(
        "j", 1, "w", message=Message("m", "", "r", 1), queue=queue, visibility=60,
        store=world.store, operations=operations, clock=world.clock, log=structlog.get_logger(),
    )  # fmt: skip
    async with heart:
        await asyncio.sleep(1.1)  # a beat is being written
        await asyncio.to_thread(heart.fall_silent)
    await asyncio.sleep(0.7)
    assert table.last is not None
    assert table.last.beat == 0


def heart(application: Application, message: Message, queue: Any) -> Heartbeat:
    return Heartbeat(
        "job", 1, "w", message=message, queue=queue, visibility=3, store=application.store,
        operations=application.operations, clock=application.clock, log=structlog.get_logger(),
    )  # fmt: skip


def beat(application: Application) -> int:
    progress = application.operations.progress("job")
    return progress.beat if progress else 0


async def test_it_keeps_the_message_from_others(application: Application) -> None:
    queue = application.queue("short")
    queue.send("wake up")
    (message,) = queue.receive(wait=2, visibility=3)
    async with heart(application, message, queue):
        await asyncio.sleep(4.5)
        assert await asyncio.to_thread(queue.receive, 1, 0) == []


async def test_a_delivery_that_is_over_does_not_stop_the_beats(application: Application) -> None:
    queue = application.queue("short")
    queue.send("wake up")
    (first,) = queue.receive(wait=2, visibility=0)
    (second,) = queue.receive(wait=2, visibility=60)  # by another worker
    assert queue.hide(first, 60) is False
    async with heart(application, first, queue):
        await asyncio.sleep(1.5)
        before = beat(application)
        await asyncio.sleep(1.5)
        assert beat(application) > before > 0
    assert queue.delete(second) is True


class Refusing:
    """A queue that does not answer."""

    def hide(self, *_: object) -> bool:
        raise Unavailable("The queue did not answer.")


async def test_a_queue_that_does_not_answer_does_not_stop_the_beats(
    application: Application,
) -> None:
    async with heart(application, Message("m", "", "r", 1), Refusing()) as running:
        await asyncio.sleep(1.5)
        before = beat(application)
        await asyncio.sleep(1.5)
        assert beat(application) > before > 0
        assert running.stopped == "lost"  # there is no such job: the look goes on as well


class Faulty:
    """An operational table whose writes fail, the first one aside, while there are faults."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.faults: list[Exception] = [KeyError("unforeseen")]
        self.calls = 0

    def report(self, _job_id: str, progress: Progress) -> None:
        self.calls += 1
        if self.calls > 1 and self.faults:
            raise self.faults.pop(0)
        self.written.append(progress.beat)


async def test_a_fault_that_nobody_foresaw_does_not_stop_the_beats() -> None:
    world, table = World(), Faulty()
    operations: Any = table
    queue: Any = SimpleNamespace(hide=lambda *_: True)
    running = Heartbeat(
        "j", 1, "w", message=Message("m", "", "r", 1), queue=queue, visibility=60,
        store=world.store, operations=operations, clock=world.clock, log=structlog.get_logger(),
    )  # fmt: skip
    async with running:
        await asyncio.sleep(2.4)
        assert table.faults == []
        assert len(table.written) > 1
        # What ended the attempt must not be replaced by a table that does not answer.
        table.faults = [Unavailable("The table did not answer.")] * 9
        await asyncio.to_thread(running.fall_silent)
    assert 0 not in table.written
