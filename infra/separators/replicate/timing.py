"""How long each thing may take, and the clock that it is measured by."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from msgspec import Struct

from domain.audio import Cancelled
from domain.errors import ModelError

T = TypeVar("T")

SLICE = 0.5  # seconds: how long a pause goes without asking whether the work was cancelled
_TICK = 0.2  # the same while a request is under way
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0


class Patience(Struct, frozen=True):
    """Limits in seconds.

    request: for one answer of the API; create: for tries to make a prediction; outage: for how
    long the API may not answer while one runs; start: from creation until it runs (a cold start
    takes minutes); run, run_factor: from then on, the larger of ``run`` and ``run_factor`` times
    the song's length; cancel: for tries to cancel; download: for one file.
    """

    request: float = 30
    create: float = 180
    outage: float = 300
    start: float = 600
    run: float = 600
    run_factor: float = 10
    cancel: float = 30
    download: float = 900

    def running(self, song_seconds: float) -> float:
        """How long a prediction for such a song may run."""
        return max(self.run, self.run_factor * song_seconds)


class Timing(Struct, frozen=True):
    """sleep: seconds; elapsed: a clock that only goes forward, in seconds; now: since the epoch.

    chance: 0..1, so that many workers do not come back at once.
    """

    sleep: Callable[[float], object] = time.sleep
    elapsed: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


class Unreached(Exception):
    """The API gave no usable answer; asking again may help.

    wait: seconds that it asked for. sent: it may have done what was asked nevertheless.
    """

    def __init__(self, what: str, *, wait: float | None = None, sent: bool = True) -> None:
        super().__init__(what)
        self.wait, self.sent = wait, sent


def pause(seconds: float, timing: Timing, cancelled: Callable[[], bool]) -> None:
    """Waits. Raises Cancelled within half a second of its being so."""
    left = seconds
    while left > 0:
        if cancelled():
            raise Cancelled
        timing.sleep(min(SLICE, left))
        left -= SLICE
    if cancelled():
        raise Cancelled


def again(
    call: Callable[[], T], seconds: float, timing: Timing, cancelled: Callable[[], bool]
) -> T:
    """The call's answer, tried again while it is Unreached, for so many seconds.

    Waits longer each time, at random ("full jitter"), or as long as the API asked for.
    Raises ModelError ``provider_unavailable`` (transient), Cancelled, or what the call raises.
    """
    until = timing.elapsed() + seconds
    longest = _FIRST_WAIT
    while True:
        try:
            return call()
        except Unreached as error:
            wait = longest * (0.5 + timing.chance() / 2) if error.wait is None else error.wait
            if timing.elapsed() + wait > until:
                raise ModelError(
                    "provider_unavailable",
                    f"The hosted model's provider does not answer ({error}). Try again later.",
                    transient=True,
                ) from error
        longest = min(_LONGEST_WAIT, 2 * longest)
        pause(wait, timing, cancelled)


def watched(call: Callable[[], T], cancelled: Callable[[], bool]) -> T:
    """The call's answer; it runs in a thread, so that a provider that hangs holds nobody up.

    Only for calls that may be left behind: a cancelled one goes on until its own time limit.
    Raises Cancelled, or what the call raises.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # raised where the answer is awaited
            future.set_exception(error)

    Thread(target=work, name="replicate", daemon=True).start()
    while True:
        try:
            return future.result(_TICK)
        except TimeoutError:
            if future.done():
                return future.result()
        if cancelled():
            raise Cancelled
