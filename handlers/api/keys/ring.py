"""From an API key to whom it speaks for, and whether a person is still there.

Both stand in the person's stream, which is read at most every few seconds for what is known.

A revoked key ends at once in the process that was asked, and within CACHE_SECONDS in others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from commands.ports import Clock
from domain import api_keys
from domain.api_keys import ApiKey, Named
from domain.commit import Loaded
from domain.errors import AccountErased, SplitSoundError, Unauthenticated
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
        key = self._key(named, now)
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

    def require_not_erased(self, user_id: str) -> None:
        """Their access token may outlive a person by minutes. Raises AccountErased.

        Where the store does not say, the token counts, as it does for who is merely unknown.
        """
        now = self._clock.now()
        try:
            state = self._recent(user_id, now)
            # Somebody who is gone may have come back a moment ago.
            if state is None or state.erased:
                state = self._read(user_id, now)
        except SplitSoundError as error:
            log.warning("person not looked up", user_id=user_id, error=error.detail)
            return
        if state.erased and not state.present:
            raise AccountErased("This account was erased. Sign up again to begin anew.")

    def is_here(self, user_id: str) -> bool:
        """Whether the person was there when last looked for, a moment ago. Waits for nothing."""
        state = self._recent(user_id, self._clock.now())
        return state is not None and not state.erased

    def _key(self, named: Named, now: int) -> ApiKey | None:
        state = self._recent(named.user_id, now)
        # One that is not known yet may have been made elsewhere a moment ago.
        if state is None or named.key_id not in state.keys:
            state = self._read(named.user_id, now)
        return state.keys.get(named.key_id)

    def _recent(self, user_id: str, now: int) -> UserState | None:
        with self._lock:
            read_at, state = self._known.get(user_id, (0, None))
        return state if 0 <= now - read_at < 1000 * CACHE_SECONDS else None

    def _read(self, user_id: str, now: int) -> UserState:
        with self._lock:
            changes = self._changes
        state = self._person_of(user_id).state
        with self._lock:
            if changes != self._changes:
                return state  # read before a change, perhaps: good for this once
            self._known[user_id] = (now, state)
            self._known.move_to_end(user_id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return state
