"""The stages of a job: how long each may take, how often it is tried, what is recorded of it.

A stage's time limit is ``seconds`` plus ``per_second`` times the song's length. What may help
is tried again after a wait that doubles: a storage or a provider that did not answer, a GPU
whose memory was full. A file that cannot be read is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from domain.audio import Cancelled
from domain.errors import JobError, SplitSoundError, Unavailable
from infra import tracing

T = TypeVar("T")
POLL_SECONDS = 0.2
# A thread in the network's code cannot be stopped from outside. One that is this late is stuck,
# and its process is of no use any more.
STUCK_SECONDS = 300.0


class Policy(Struct, frozen=True):
    """tries: in all; wait: seconds before the second one; the rest is the time limit."""

    tries: int
    wait: float
    seconds: float
    per_second: float

    def limit(self, audio_seconds: float) -> float:
        """Seconds that one try may take."""
        return self.seconds + self.per_second * audio_seconds


POLICIES = {
    "download": Policy(4, 1, 300, 1),
    # ffmpeg decodes hundreds of times faster than real time; half of it means it is stuck.
    "probe": Policy(2, 1, 60, 0.5),
    # With decoding and the masters. Networks on two cores take up to ten times real time.
    "separate": Policy(3, 5, 600, 20),
    "encode": Policy(2, 1, 120, 2),
    "upload": Policy(4, 1, 300, 2),
}


class Stuck(BaseException):
    """A thread did not come back long after its time; the process has to go."""


class Watch:
    """Asked by work in progress whether to stop: cancelled, or out of time."""

    def __init__(self, cancelled: Callable[[], bool], seconds: float) -> None:
        self._cancelled, self.seconds = cancelled, seconds
        self._deadline = time.monotonic() + seconds

    def __call__(self) -> bool:
        """Whether to stop now."""
        return self.expired or self._cancelled()

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._deadline


class Attempt(Protocol):
    """The attempt that a stage belongs to; see ``Heartbeat``."""

    def cancelled(self) -> bool:
        """Whether to stop."""

    def enter(self, stage: str) -> None:
        """A stage begins."""


class Stages:
    """Runs the stages of one attempt. record: told stage, milliseconds and tries."""

    def __init__(
        self,
        attempt: Attempt,
        audio_seconds: float,
        record: Callable[[str, int, int], Awaitable[None]],
        log: Any,
    ) -> None:
        self._attempt, self._audio_seconds = attempt, audio_seconds
        self.record, self._log = record, log

    async def run(self, name: str, work: Callable[[Watch], Awaitable[T]]) -> T:
        """The stage from begin to end, recorded. Raises what ``attempt`` raises."""
        begun = time.monotonic()
        result, tries = await self.attempt(name, work)
        await self.record(name, round(1000 * (time.monotonic() - begun)), tries)
        return result

    async def quietly(self, name: str, work: Callable[[Watch], Awaitable[T]]) -> T:
        """Part of a stage, under its policy, while another one is shown. Raises as ``attempt``."""
        return (await self.attempt(name, work, quiet=True))[0]

    async def attempt(
        self, name: str, work: Callable[[Watch], Awaitable[T]], *, quiet: bool = False
    ) -> tuple[T, int]:
        """The stage's result and its tries. Raises JobError, Unavailable, Cancelled, Stuck."""
        policy = POLICIES[name]
        for number in range(1, policy.tries + 1):
            if self._attempt.cancelled():
                raise Cancelled
            if not quiet:
                self._attempt.enter(name)
            try:
                return await self._once(name, work, policy), number
            except (JobError, Unavailable) as error:
                if number == policy.tries or not _worth_another(error):
                    raise
                self._log.warning("once more", stage=name, number=number, error=error.detail)
            await self._pause(policy.wait * 2 ** (number - 1))
        raise AssertionError("unreachable")

    async def _once(self, name: str, work: Callable[[Watch], Awaitable[T]], policy: Policy) -> T:
        limit = policy.limit(self._audio_seconds)
        watch = Watch(self._attempt.cancelled, limit)
        patience = asyncio.timeout(limit + STUCK_SECONDS)
        try:
            with tracing.stage(f"stage {name}"):
                async with patience:
                    return await work(watch)
        except TimeoutError:
            if not patience.expired():
                raise  # the work's own: a socket's, a disk's
            raise Stuck(f"{name} did not stop {STUCK_SECONDS:.0f} s after its time.") from None
        except Cancelled:
            if self._attempt.cancelled() or not watch.expired:
                raise
            raise JobError(
                f"{name}_timeout",
                f"The stage {name!r} took longer than its limit of {limit:.0f} seconds. It cost "
                "nothing; try again.",
            ) from None

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._attempt.cancelled():
                raise Cancelled
            await asyncio.sleep(POLL_SECONDS)


def _worth_another(error: SplitSoundError) -> bool:
    return error.transient if isinstance(error, JobError) else error.retryable


async def until_stopped(work: Awaitable[T], watch: Callable[[], bool]) -> T:
    """The work's result; when ``watch`` says stop, the work is cancelled and Cancelled raised."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if watch():
                raise Cancelled
            await asyncio.wait((task,), timeout=POLL_SECONDS)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
