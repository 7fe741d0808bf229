"""When API keys were last used: told to their owners, so that they can revoke what nobody uses."""

from __future__ import annotations

from msgspec import Struct

from infra.operations.table import OperationalTable

MINUTE = 60_000
# A process forgets what it noted, rather than grow, once it has seen that many keys.
_MOST = 10_000


class Use(Struct, frozen=True):
    """at: epoch milliseconds, to the minute."""

    at: int


class KeyUses:
    """In the operational table, ``keyuses#<user>``; at most one write a minute, key and process."""

    def __init__(self, table: OperationalTable) -> None:
        self._table = table
        self._noted: dict[str, int] = {}

    def due(self, key_id: str, now: int) -> bool:
        """Whether this use is to be noted; asked once, it counts as noted. now: epoch ms."""
        if now - self._noted.get(key_id, -MINUTE) < MINUTE:
            return False
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[key_id] = now
        return True

    def note(self, user_id: str, key_id: str, now: int) -> None:
        """The key was used."""
        self._table.put(_partition(user_id), key_id, Use(now))

    def of(self, user_id: str) -> dict[str, int]:
        """Last use by key id, epoch ms."""
        return {key: use.at for key, use in self._table.query(_partition(user_id), Use)}


def forget(table: OperationalTable, user_id: str) -> None:
    """Nothing is left of a person."""
    for key_id, use in list(table.query(_partition(user_id), Use)):
        table.delete_if(_partition(user_id), key_id, use)


def _partition(user_id: str) -> str:
    return f"keyuses#{user_id}"
