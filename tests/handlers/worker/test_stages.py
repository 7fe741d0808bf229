"""A stage is tried again where that may help, ends in its time, and hears of a cancel at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import structlog

from domain.audio import Cancelled
from domain.errors import AccessDenied, JobError, MediaError, ModelError, Unavailable
from domain.job import STAGES
from handlers.worker import stages
from handlers.worker.stages import POLICIES, Policy, Stages, Stuck, Watch, until_stopped

WAIT = 0.1


class Attempt:
    """Heartbeat's part of it."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.over = False

    def cancelled(self) -> bool:
        return self.over

    def enter(self, stage: str) -> None:
        self.entered.append(stage)


class Table:
    """What is recorded, and the stages that record it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int]] = []
        self.attempt = Attempt()
        self.stages = Stages(self.attempt, 10.0, self._record, structlog.get_logger())

    async def _record(self, stage: str, milliseconds: int, tries: int) -> None:
        self.rows.append((stage, milliseconds, tries))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setitem(POLICIES, "separate", Policy(3, WAIT, 0.3, 0.02))
    monkeypatch.setattr(stages, "POLL_SECONDS", 0.02)
    return Table()


def failing(*errors: Exception) -> Callable[[Watch], Awaitable[str]]:
    """Raises these, one at each try, then succeeds."""
    left = list(errors)

    async def work(_: Watch) -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_every_stage_that_is_run_has_a_policy() -> None:
    assert set(POLICIES) == set(STAGES) - {"decode"}
    assert POLICIES["separate"].limit(180) == 600 + 20 * 180


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("Storage did not answer."),
        JobError("worker_disk_full", "Full.", transient=True),
        ModelError("model_out_of_memory", "Full.", transient=True),
    ],
)
async def test_what_may_help_is_tried_again_after_waits_that_double(
    table: Table, error: Exception
) -> None:
    begun = time.monotonic()
    assert await table.stages.run("separate", failing(error, error)) == "done"
    assert time.monotonic() - begun >= 3 * WAIT
    ((stage, milliseconds, tries),) = table.rows
    assert (stage, tries) == ("separate", 3)
    assert milliseconds >= 3000 * WAIT
    assert table.attempt.entered == ["separate"] * 3


async def test_tries_come_to_an_end(table: Table) -> None:
    with pytest.raises(Unavailable, match="third"):
        await table.stages.run("separate", failing(*map(Unavailable, ("1st", "2nd", "third"))))
    assert table.rows == []


@pytest.mark.parametrize(
    "error",
    [
        MediaError("media_unreadable", "Broken."),
        ModelError("model_failed", "Not a number."),
        AccessDenied("Denied."),
        ValueError("a fault of ours"),
    ],
)
async def test_what_cannot_help_is_tried_once(table: Table, error: Exception) -> None:
    with pytest.raises(type(error)):
        await table.stages.run("separate", failing(error))
    assert table.attempt.entered == ["separate"]
    assert table.rows == []


async def test_part_of_a_stage_is_not_shown_and_not_recorded(table: Table) -> None:
    assert await table.stages.quietly("separate", failing(Unavailable("x"))) == "done"
    assert (table.attempt.entered, table.rows) == ([], [])


def until(watch: Watch) -> None:
    """Work in a thread, as all real work: it looks up now and then."""
    while not watch():
        time.sleep(0.01)
    raise Cancelled


async def test_a_stage_that_takes_too_long_fails_by_its_name(table: Table) -> None:
    begun = time.monotonic()
    with pytest.raises(JobError) as caught:
        await table.stages.run("separate", lambda watch: asyncio.to_thread(until, watch))
    assert time.monotonic() - begun >= 0.5
    assert (caught.value.code, caught.value.transient) == ("separate_timeout", False)
    assert table.attempt.entered == ["separate"]


async def test_a_cancel_is_no_timeout(table: Table) -> None:
    async def work(watch: Watch) -> None:
        table.attempt.over = True
        await asyncio.to_thread(until, watch)

    with pytest.raises(Cancelled):
        await table.stages.run("separate", work)
    with pytest.raises(Cancelled):  # and nothing more begins
        await table.stages.run("upload", failing())
    assert table.attempt.entered == ["separate"]


async def test_a_cancel_ends_the_wait_between_two_tries(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, "separate", Policy(3, 60, 60, 0))
    running = asyncio.create_task(table.stages.run("separate", failing(Unavailable("x"))))
    await asyncio.sleep(0.1)
    table.attempt.over = True
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        await running
    assert time.monotonic() - begun < 1


async def test_a_thread_that_does_not_come_back_is_of_no_use(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STUCK_SECONDS", 0.1)
    with pytest.raises(Stuck, match="separate"):
        await table.stages.run("separate", lambda _: asyncio.to_thread(time.sleep, 1.5))


async def test_a_timeout_of_the_works_own_is_no_stuck_thread(table: Table) -> None:
    with pytest.raises(TimeoutError, match="a socket"):
        await table.stages.run("separate", failing(TimeoutError("a socket")))


async def test_work_is_stopped_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    watch = Watch(lambda: False, 0.1)
    with pytest.raises(Cancelled):
        await until_stopped(hang(), watch)
    assert watch.expired
    assert ended == [True]
    assert await until_stopped(asyncio.sleep(0.01, "result"), lambda: False) == "result"
    with pytest.raises(ValueError, match="as it is"):
        await until_stopped(failing(ValueError("as it is"))(watch), lambda: False)


async def test_work_ends_with_whoever_waits_for_it() -> None:
    ended = []

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    waiting = asyncio.create_task(until_stopped(hang(), lambda: False))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == [True]
