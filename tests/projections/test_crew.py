"""Whoever stops waiting for a crew does not wait for what its threads wait for."""

from __future__ import annotations

import time

import pytest

from domain.errors import Unavailable
from infra.pacing import Pace
from projections.crew import Crew


def test_all_parts_are_worked_on() -> None:
    ended: list[str] = []
    crew = Crew(4, stopped=lambda: ended.append("stopped"))
    assert sorted(crew.run(lambda n: n * n, range(20))) == [n * n for n in range(20)]
    assert ended == []


def interrupt() -> None:
    raise KeyboardInterrupt


def test_interrupted_it_ends_though_its_threads_wait_for_their_pace() -> None:
    pace = Pace(writes=1)
    crew = Crew(4, tick=interrupt, stopped=pace.release)

    def work(number: int) -> None:
        for _ in range(100):
            pace.spend(writes=10)
            crew.go_on()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(crew.run(work, range(32)))
    assert time.monotonic() - began < 5  # a tick comes after two seconds
    assert pace.spent.writes <= 80, "each thread ended at its next breath"


def test_interrupted_it_ends_though_a_part_waits_to_be_begun_again() -> None:
    def work(number: int) -> None:
        raise Unavailable("throttled")

    crew = Crew(2, tick=interrupt)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(crew.run(work, range(2)))
    assert time.monotonic() - began < 3


def test_a_part_that_fails_stops_the_others_soon() -> None:
    pace = Pace(writes=1)
    crew = Crew(2, stopped=pace.release)

    def work(number: int) -> None:
        if number:
            raise ValueError("no good")
        pace.spend(writes=60)

    began = time.monotonic()
    with pytest.raises(ValueError, match="no good"):
        list(crew.run(work, range(2)))
    assert time.monotonic() - began < 2
