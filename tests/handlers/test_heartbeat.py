"""A worker that hands a job on must not be heard of again."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import structlog

from handlers.worker.heartbeat import Heartbeat
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
    queue: Any = SimpleNamespace(hide=lambda *_: None)
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
