"""Turn the ways of asking a terminal program to stop into one orderly stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, SIGINT, SIGTERM and SIGHUP are counted instead of killing the process.

    The first one raises KeyboardInterrupt, so that a start in progress unwinds through its
    ``finally`` blocks; inside ``deferred`` it doesn't, for code that looks at ``requested``
    itself or that cleans up. Later ones never raise: a second Ctrl-C means ``hurried``.
    """

    def __init__(self) -> None:
        self._count = 0
        self._deferred = 0
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether anyone asked to stop."""
        return self._count > 0

    @property
    def hurried(self) -> bool:
        """Whether somebody asked twice: skip what is only polite."""
        return self._count > 1

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """No signal raises in here; they are only counted."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1

    def __enter__(self) -> Self:
        for number in _STOPPING:
            self._previous[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1 and not self._deferred:
            raise KeyboardInterrupt
