"""What operators hold shut, read for everybody in this process at most every other second."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from domain.controls import CONTROLS, STREAM, ControlsState
from domain.errors import SplitSoundError
from infra.logs import logger

if TYPE_CHECKING:
    from commands.ports import Clock, EventStore

# What was read longer ago does not count as known (see recent).
RECENT_MS = 5000


class CachedSwitchboard:
    """A Switchboard over the event store; safe to share between threads.

    seconds: how old an answer may be. One thread reads again; the others meanwhile get the
    state before. While the store cannot be reached, that state stands: a read that fails must
    not shut what operators left open, nor open what they shut.
    """

    def __init__(
        self, store: EventStore, clock: Clock, seconds: float = 2.0, log: Any = None
    ) -> None:
        self._store, self._clock = store, clock
        self._patience = round(1000 * seconds)
        self._log = log or logger("switchboard")
        self._state: ControlsState | None = None
        self._asked = 0
        self._read_at: int | None = None
        self._reading = threading.Lock()

    def state(self) -> ControlsState:
        """See Switchboard."""
        known = self._state
        if known is not None and self._is_fresh():
            return known
        # The very first answer is worth waiting for; later the one before will do.
        if not self._reading.acquire(blocking=known is None):
            return known or ControlsState()
        try:
            if self._state is None or not self._is_fresh():
                self._read()
            return self._state or ControlsState()
        finally:
            self._reading.release()

    def recent(self) -> bool:
        """Whether the state was really read within 5 s, so that a change before is in it.

        It speaks of the state that is asked for after it: another thread may just have read.
        """
        read = self._read_at
        return read is not None and 0 <= self._clock.now() - read < RECENT_MS

    def _is_fresh(self) -> bool:
        # A clock that was set back makes nothing fresh for longer.
        return 0 <= self._clock.now() - self._asked < self._patience

    def _read(self) -> None:
        begun = self._clock.now()
        try:
            # The state first: whoever sees the time must see the state that goes with it.
            self._state = self._store.load(CONTROLS, STREAM).state
            self._read_at = begun
        except SplitSoundError as error:
            self._log.warning("switches not read", error=error.detail)
            self._state = self._state or ControlsState()
        self._asked = self._clock.now()
