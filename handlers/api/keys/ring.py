"""From an API key to whom it speaks for: the person's stream, read at most every few seconds.

A revoked key ends at once in the process that was asked, and within CACHE_SECONDS in others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from commands.ports import Clock
from domain import api_keys
from domain.api_keys import Named
from domain.commit import Loaded
from domain.errors import SplitSoundError, Unauthenticated
from domain.user import UserState
from handlers.api import log
from infra.identity import Caller
from infra.operations.key_uses import KeyUses

CACHE_SECONDS = 5
_MOST = 5_000
_UNKNOWN = "This API key is unknown, revoked or expired; make a new one."


class KeyRing:
    """person_of: the person's stream, consistently read. Blocks: call it in a thread."""

    def __init__(
        self, person_of: Callable[[str], Loaded[UserState]], uses: KeyUses, clock: Clock
    ) -> None:
        self._person_of, self._uses, self._clock = person_of, uses, clock
        self._known: OrderedDict[str, tuple[int, UserState]] = OrderedDict()
        self._changes = 0
        self._lock = Lock()

    def caller(self, text: str) -> Caller:
        """Raises Unauthenticated: not a key of ours, unknown, revoked, expired."""
        named = api_keys.parse(text)
        now = self._clock.now()
        key = self._person(named.user_id, now).keys.get(named.key_id)
        if key is None or not key.opens(text, now):
            raise Unauthenticated(_UNKNOWN)
        self._note(named, now)
        return Caller(named.user_id, scopes=key.scopes)

    def changed(self, user_id: str) -> None:
        """The person's keys are others now; look again."""
        with self._lock:
            self._known.pop(user_id, None)
            self._changes += 1

    def _note(self, named: Named, now: int) -> None:
        if not self._uses.due(named.key_id, now):
            return
        try:
            self._uses.note(named.user_id, named.key_id, now)
        except SplitSoundError as error:
            # To whoever asks, it matters little when the key was used last.
            log.warning("use of an API key not noted", key_id=named.key_id, error=error.detail)

    def _person(self, user_id: str, now: int) -> UserState:
        with self._lock:
            found, changes = self._known.get(user_id), self._changes
        if found and 0 <= now - found[0] < 1000 * CACHE_SECONDS:
            return found[1]
        state = self._person_of(user_id).state
        with self._lock:
            if changes != self._changes:
                return state  # read before a change, perhaps: good for this once
            self._known[user_id] = (now, state)
            self._known.move_to_end(user_id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return state
