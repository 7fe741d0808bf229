"""Lanes do not wait for each other, and a worker that has to go hands on what it cannot end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from domain.audio import Cancelled
from handlers.worker.consuming import Consumer, Patience
from infra.bootstrap import Application
from infra.queue import Message, Queue

Work = Callable[["Lane"], Awaitable[bool]]


class Lane:
    """A handler that does with each message what the test says."""

    def __init__(self, queue: Queue, work: Work) -> None:
        self.queue = queue
        self._work = work
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.stop = asyncio.Event()

    async def handle(self, message: Message) -> bool:
        self.begun.append(message.body)
        done = await self._work(self)
        self.ended.append(message.body)
        return done

    def drain(self) -> None:
        self.stop.set()


async def at_once(_lane: Lane) -> bool:
    return True


def taking(seconds: float) -> Work:
    async def work(lane: Lane) -> bool:
        try:
            await asyncio.wait_for(lane.stop.wait(), seconds)
        except TimeoutError:
            return True
        raise Cancelled

    return work


def consumer(lanes: dict[str, Lane], drain: float = 5.0) -> Consumer:
    return Consumer(lanes, Patience(1, 60, drain), structlog.get_logger())


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


def waiting(queue: Queue) -> list[str]:
    return [message.body for message in queue.receive(10, wait=1)]


async def test_a_long_song_does_not_keep_a_short_one_waiting(application: Application) -> None:
    short = Lane(application.queue("short"), at_once)
    long = Lane(application.queue("long"), taking(60))
    long.queue.send("two hours")
    running = consumer({"short": short, "long": long}, drain=0)
    task = asyncio.create_task(running.run())
    await until(lambda: running.busy == ("long",))
    for number in range(3):
        short.queue.send(f"song {number}")
    await until(lambda: len(short.ended) == 3)
    assert long.ended == []
    await running.drain()
    await asyncio.wait_for(task, 5)
    assert waiting(long.queue) == ["two hours"]
    assert short.queue.depth() == 0


async def test_work_that_ends_in_the_grace_is_done_and_nothing_new_begins(
    application: Application,
) -> None:
    lane = Lane(application.queue("short"), taking(1.5))
    lane.queue.send("first")
    running = consumer({"short": lane})
    task = asyncio.create_task(running.run())
    await until(lambda: bool(lane.begun))
    lane.queue.send("second")
    await running.drain()
    await asyncio.wait_for(task, 1)
    assert (lane.begun, lane.ended) == (["first"], ["first"])
    assert waiting(lane.queue) == ["second"]


async def test_a_shorter_grace_that_comes_later_counts(application: Application) -> None:
    lane = Lane(application.queue("short"), taking(60))
    lane.queue.send("song")
    running = consumer({"short": lane}, drain=50)
    task = asyncio.create_task(running.run())
    await until(lambda: bool(lane.begun))
    usual = asyncio.create_task(running.drain())
    await running.drain(0.2)
    await asyncio.wait_for(asyncio.gather(task, usual), 5)
    assert waiting(lane.queue) == ["song"]


async def test_work_that_does_not_listen_is_cut_off_and_handed_on(
    application: Application,
) -> None:
    async def deaf(_lane: Lane) -> bool:
        await asyncio.sleep(60)
        return True

    lane = Lane(application.queue("short"), deaf)
    lane.queue.send("song")
    running = consumer({"short": lane}, drain=0)
    task = asyncio.create_task(running.run())
    await until(lambda: bool(lane.begun))
    began = time.monotonic()
    await running.drain()
    await asyncio.wait_for(task, 5)
    assert time.monotonic() - began < 15
    assert waiting(lane.queue) == ["song"]


async def test_a_message_that_came_with_the_last_poll_goes_back(application: Application) -> None:
    lane = Lane(application.queue("short"), at_once)
    running = consumer({"short": lane})
    task = asyncio.create_task(running.run())
    await asyncio.sleep(0.2)  # it polls
    drain = asyncio.create_task(running.drain())
    await asyncio.sleep(0)
    lane.queue.send("late")
    await asyncio.wait_for(asyncio.gather(task, drain), 5)
    assert lane.begun == []
    assert waiting(lane.queue) == ["late"]


async def test_what_breaks_comes_back_later_and_the_lane_goes_on(application: Application) -> None:
    async def break_first(lane: Lane) -> bool:
        if len(lane.begun) == 1:
            raise LookupError("unforeseen")
        return True

    lane = Lane(application.queue("short"), break_first)
    lane.queue.send("bad")
    running = consumer({"short": lane})
    task = asyncio.create_task(running.run())
    await until(lambda: bool(lane.begun))
    lane.queue.send("good")
    await until(lambda: lane.ended == ["good"])
    assert lane.queue.depth() == 1  # invisible for five seconds
    await until(lambda: lane.ended == ["good", "bad"], 12)
    await running.drain()
    await asyncio.wait_for(task, 5)
