"""A worker tells a living one from a dead one, whatever their clocks say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from handlers.worker.liveness import is_alive
from infra.operations import Progress

HOUR = 3_600_000


class Reports:
    """An operational table that gives one report after the other, the last one for ever."""

    def __init__(self, *reports: Progress | None) -> None:
        self._reports: Iterator[Progress | None] = iter(reports)
        self._last: Progress | None = None

    def progress(self, _job_id: str) -> Progress | None:
        self._last = next(self._reports, self._last)
        return self._last


def report(beat: int, attempt: int = 1) -> Progress:
    return Progress(attempt, "other", "separate", 0.5, beat)


@pytest.mark.parametrize("skew", [-5 * HOUR, 0, 5 * HOUR])
async def test_a_beat_that_changes_is_alive_however_wrong_its_clock(skew: int) -> None:
    now = int(time.time() * 1000) + skew
    assert await is_alive(Reports(report(now), report(now), report(now + 1000)), "j", 1, 5)


@pytest.mark.parametrize("skew", [-5 * HOUR, 0, 5 * HOUR])
async def test_a_beat_that_stands_still_is_dead_however_fresh_it_looks(skew: int) -> None:
    began = time.monotonic()
    assert not await is_alive(Reports(report(int(time.time() * 1000) + skew)), "j", 1, 1.5)
    assert 1.4 < time.monotonic() - began < 3


@pytest.mark.parametrize("known", [None, report(0), report(5, attempt=1)])
async def test_what_is_known_to_be_over_is_dead_at_once(known: Progress | None) -> None:
    assert not await asyncio.wait_for(is_alive(Reports(known), "j", 2, 60), 1)


async def test_one_that_falls_silent_meanwhile_is_dead() -> None:
    assert not await asyncio.wait_for(is_alive(Reports(report(7), report(0)), "j", 1, 60), 5)


async def test_a_later_attempt_that_takes_over_meanwhile_is_alive() -> None:
    assert await is_alive(Reports(report(7), report(3, attempt=2)), "j", 1, 5)
