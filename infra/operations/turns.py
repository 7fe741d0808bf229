"""Whose turn it is: one process at a time sends to an endpoint, in order of due time.

A hint says at which second an endpoint is to be looked at. Who sees one that is due takes the
endpoint's turn, sends what is due, leaves one hint for the rest and takes away those it saw; a
hint that was written anew meanwhile stays. A process that dies leaves its hints and a turn that
ends by itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from infra.operations.deliveries import KEEP_SECONDS, SHARDS, hint_place
from infra.operations.table import OperationalTable

if TYPE_CHECKING:
    from commands.ports import Clock

TURN_MS = 60_000
"""Longer than one POST may take, with its bookkeeping, by far."""
_PAGE = 500
# A sender writes the same item a few times a second at most.
_TRIES = 5
_MOST_HINTS = 5_000


class Turn(Struct, frozen=True):
    """holder: a process, until then (epoch ms). failures: attempts in a row, since failing_since.

    rest_until: nothing is sent before.
    """

    user_id: str
    endpoint_id: str
    holder: str = ""
    until: int = 0
    failures: int = 0
    failing_since: int = 0
    rest_until: int = 0
    revision: int = 0


class Waiting(Struct, frozen=True):
    """An endpoint that is to be looked at, and the hints that say so: place and mark."""

    user_id: str
    endpoint_id: str
    hints: tuple[tuple[str, str, str], ...]


class Turns:
    """In the operational table. Raises Unavailable throughout."""

    def __init__(self, table: OperationalTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def waiting(self) -> list[Waiting]:
        """The endpoints that are to be looked at by now, the longest waiting first."""
        found: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
        for number in range(SHARDS):
            for sk, mark in self._due_hints(f"hints#{number}"):
                _, user_id, endpoint_id = sk.split("#")
                found[user_id, endpoint_id].append((f"hints#{number}", sk, mark))
        each = [Waiting(*whose, tuple(hints)) for whose, hints in found.items()]
        return sorted(each, key=lambda w: w.hints[0][1])

    def _due_hints(self, pk: str) -> list[tuple[str, str]]:
        until = f"{self._clock.now() // 1000:010d}$"  # behind every hint of this second
        found: list[tuple[str, str]] = []
        while len(found) < _MOST_HINTS:
            after = found[-1][0] if found else ""
            page = self._table.between(pk, str, "0", until, _PAGE, after=after)
            found += page
            if len(page) < _PAGE:
                break
        return found

    def take(self, user_id: str, endpoint_id: str, holder: str) -> Turn | None:
        """The endpoint's turn for that process; None while another one has it."""
        now = self._clock.now()
        turn = self.find(user_id, endpoint_id)
        if turn.holder not in ("", holder) and turn.until > now:
            return None
        return self.keep(replace(turn, holder=holder, until=now + TURN_MS))

    def renew(self, turn: Turn) -> Turn | None:
        """Some more time, where much of it is over. None when another process has it by now."""
        now = self._clock.now()
        if turn.until - now > TURN_MS // 2:
            return turn
        return self.keep(replace(turn, until=now + TURN_MS))

    def leave(self, turn: Turn) -> None:
        """The turn is over; what it says of the endpoint's health stays."""
        self.keep(replace(turn, holder="", until=0))

    def settle(self, waiting: Waiting, turn: Turn, again: int | None) -> None:
        """Look at the endpoint again at that time (epoch ms), or not before something new.

        By whoever has the turn. The mark names the turn, so that a process that lost its turn
        long ago takes nothing away.
        """
        kept: tuple[str, str] | None = None
        if again is not None:
            now = self._clock.now()
            kept = hint_place(waiting.user_id, waiting.endpoint_id, again, now)
            mark = f"turn@{turn.revision}"
            self._table.put(*kept, mark, max(now, again) // 1000 + KEEP_SECONDS)
        for pk, sk, mark in waiting.hints:
            if (pk, sk) != kept:
                self._table.delete_if(pk, sk, mark)

    def find(self, user_id: str, endpoint_id: str) -> Turn:
        """How the endpoint does; of one that was never sent to, all at zero."""
        found = self._table.get(f"endpoints#{user_id}", endpoint_id, Turn)
        return found or Turn(user_id, endpoint_id)

    def forgive(self, user_id: str, endpoint_id: str) -> None:
        """Its owner says that it is well again: no failure counts that came before."""
        for _ in range(_TRIES):
            turn = self.find(user_id, endpoint_id)
            if not turn.failures:
                return
            if self.keep(replace(turn, failures=0, failing_since=0, rest_until=0)):
                return

    def keep(self, turn: Turn) -> Turn | None:
        """Note what it says. None when it was written by somebody else since."""
        kept = replace(turn, revision=turn.revision + 1)
        expires = self._clock.now() // 1000 + KEEP_SECONDS
        place = (f"endpoints#{turn.user_id}", turn.endpoint_id)
        return kept if self._table.replace(*place, kept, turn.revision, expires) else None

    def of(self, user_id: str) -> dict[str, Turn]:
        """How each of a person's endpoints does, as far as it was ever sent to."""
        return dict(self._table.query(f"endpoints#{user_id}", Turn))

    def overdue(self) -> int:
        """For how long (ms) the endpoint that has waited longest has; 0 when none waits."""
        now = self._clock.now()
        firsts = [
            self._table.between(f"hints#{number}", str, "0", f"{now // 1000:010d}$", 1)
            for number in range(SHARDS)
        ]
        oldest = min((int(first[0][0].partition("#")[0]) for first in firsts if first), default=0)
        return max(0, now - 1000 * oldest) if oldest else 0
