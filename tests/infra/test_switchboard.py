"""One read for everybody, at most every other second, and none that can stop the service."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from commands import Pause, Resume
from domain.aggregate import Aggregate
from domain.commit import Loaded
from domain.errors import Unavailable
from infra.event_store.memory import MemoryStore
from infra.switchboard import CachedSwitchboard
from tests.world import World


class Counting(MemoryStore):
    """Counts loads; can be out of reach, or slow."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.loads = 0
        self.down = False
        self.gate: threading.Event | None = None

    def load(self, aggregate: Aggregate[Any], stream: str) -> Loaded[Any]:
        self.loads += 1
        if self.gate:
            self.gate.wait(10)
        if self.down:
            raise Unavailable("Nobody answers.")
        return super().load(aggregate, stream)


@pytest.fixture
def world() -> World:
    made = World()
    made.store = Counting(made.clock)
    return World(clock=made.clock, store=made.store)


@pytest.fixture
def board(world: World) -> CachedSwitchboard:
    return CachedSwitchboard(world.store, world.clock)


def test_it_is_read_at_most_every_two_seconds(world: World, board: CachedSwitchboard) -> None:
    assert board.state().paused == {}
    world.do(Pause("intake", "moving house"))
    loads = world.store.loads
    assert board.state().paused == {}
    world.clock.time += 1999
    assert board.state().paused == {}
    assert world.store.loads == loads
    world.clock.time += 1
    assert list(board.state().paused) == ["intake"]
    assert list(board.state().paused) == ["intake"]
    assert world.store.loads == loads + 1


def test_a_clock_that_was_set_back_does_not_freeze_it(
    world: World, board: CachedSwitchboard
) -> None:
    board.state()
    world.do(Pause("intake", "moving house"))
    world.clock.time -= 3_600_000
    assert list(board.state().paused) == ["intake"]


def test_without_the_store_the_last_known_state_stands(
    world: World, board: CachedSwitchboard
) -> None:
    world.do(Pause("intake", "moving house"))
    assert list(board.state().paused) == ["intake"]
    world.store.down = True
    world.clock.time += 60_000
    assert list(board.state().paused) == ["intake"]
    loads = world.store.loads
    assert list(board.state().paused) == ["intake"]
    assert world.store.loads == loads, "a store that is down is not asked at every request"
    world.store.down = False
    world.do(Resume("intake", "moved"))
    world.clock.time += 2000
    assert board.state().paused == {}


def test_what_was_never_known_is_open(world: World, board: CachedSwitchboard) -> None:
    world.store.down = True
    assert board.state().paused == {}


def test_threads_share_one_read_and_do_not_wait_for_it(
    world: World, board: CachedSwitchboard
) -> None:
    board.state()
    world.clock.time += 2000
    world.store.loads = 0
    world.store.gate = threading.Event()
    with ThreadPoolExecutor(8) as threads:
        reader = threads.submit(board.state)
        while world.store.loads == 0:
            pass
        others = [threads.submit(board.state) for _ in range(7)]
        for other in others:
            assert other.result(5).paused == {}
        assert not reader.done()
        world.store.gate.set()
        assert reader.result(5).paused == {}
    assert world.store.loads == 1


def test_it_says_whether_it_was_really_read_lately(world: World, board: CachedSwitchboard) -> None:
    assert not board.recent(), "never read"
    world.store.down = True
    board.state()
    assert not board.recent(), "asked, and not answered"
    world.store.down = False
    world.clock.time += 2000
    board.state()
    assert board.recent()
    world.store.down = True
    world.clock.time += 4999
    board.state()
    assert board.recent()
    world.clock.time += 1
    board.state()
    assert not board.recent(), "another try is no answer"
    world.clock.time -= 60_000
    assert not board.recent(), "nor is what a clock set back would make new"
    world.store.down = False
    board.state()
    assert board.recent()
