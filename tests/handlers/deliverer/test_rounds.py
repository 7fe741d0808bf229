"""Round after round: nobody is visited twice at once, and the ill keep nobody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import structlog

from domain.errors import Unavailable
from handlers.deliverer.rounds import THREADS, THREADS_FOR_ILL, Rounds
from handlers.deliverer.visiting import Visit
from infra.operations import Waiting


class Street:
    """Endpoints that wait; those that hang do so until they are released."""

    def __init__(self) -> None:
        self.waits: list[Waiting] = []
        self.hanging: set[str] = set()
        self.release = threading.Event()
        self.visited: list[str] = []
        self.rounds = Rounds(lambda: list(self.waits), self.visit, structlog.get_logger())

    def visit(self, waiting: Waiting) -> Visit:
        """See Visits."""
        name = waiting.endpoint_id
        self.visited.append(name)
        if name in self.hanging:
            self.release.wait(20)
            return Visit(well=False)
        self.waits = [each for each in self.waits if each.endpoint_id != name]
        return Visit()

    def knock(self, *names: str) -> None:
        """These wait from now on."""
        self.waits = self.waits + [Waiting("u", name, ()) for name in names]

    def seen(self, name: str) -> None:
        """Once somebody was there."""
        deadline = time.monotonic() + 10
        while name not in self.visited:
            assert time.monotonic() < deadline, self.visited
            time.sleep(0.01)


@pytest.fixture
def street() -> Iterator[Street]:
    made = Street()
    yield made
    made.release.set()


def test_nobody_is_visited_by_two_at_once(street: Street) -> None:
    street.hanging.add("a")
    street.knock("a")
    for _ in range(20):
        street.rounds.look()
    street.seen("a")
    assert street.visited == ["a"]


def test_however_many_hang_again_the_healthy_are_visited(street: Street) -> None:
    ill = [f"ill{n}" for n in range(THREADS + 4 * THREADS_FOR_ILL)]
    street.hanging |= set(ill)
    street.release.set()
    street.knock(*ill)
    street.rounds.look()
    for name in ill:
        street.seen(name)
    # Known as ill by now, they come back and hang for good.
    time.sleep(0.1)
    street.release.clear()
    street.rounds.look()
    street.knock("well")
    street.rounds.look()
    street.seen("well")
    assert len(street.visited) - len(ill) <= THREADS_FOR_ILL + 1


def test_what_breaks_is_looked_at_again(street: Street) -> None:
    visits: list[Exception | Visit] = [Unavailable("away"), ZeroDivisionError(), Visit()]
    done = threading.Event()

    def visit(_: Waiting) -> Visit:
        outcome = visits.pop(0) if len(visits) > 1 else visits[0]
        if isinstance(outcome, Exception):
            raise outcome
        done.set()
        return outcome

    troubles: list[Exception] = [Unavailable("away"), ZeroDivisionError()]

    def waiting() -> list[Waiting]:
        if troubles:
            raise troubles.pop()
        return [] if done.is_set() else [Waiting("u", "a", ())]

    rounds = Rounds(waiting, visit, structlog.get_logger())
    stop = threading.Event()
    thread = threading.Thread(target=rounds.run, args=(stop,), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not done.is_set():
        assert time.monotonic() < deadline
        rounds.wake()
        time.sleep(0.02)
    stop.set()
    rounds.wake()
    thread.join(10)
    assert not thread.is_alive()
