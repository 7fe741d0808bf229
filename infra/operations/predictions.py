"""Which prediction a provider was asked for, so that a worker that died is not paid for twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.operations.table import OperationalTable

if TYPE_CHECKING:
    from commands.ports import Clock

_KEEP_SECONDS = 3600


class Predictions:
    """In the operational table, for an hour; ``infra.separators.replicate.Memory``."""

    def __init__(self, table: OperationalTable, clock: Clock) -> None:
        self._table, self._clock = table, clock

    def get(self, key: str) -> str | None:
        """The prediction's id. Raises Unavailable."""
        return self._table.get(f"prediction#{key}", "id", str)

    def put(self, key: str, prediction_id: str) -> None:
        """Raises Unavailable."""
        expires = self._clock.now() // 1000 + _KEEP_SECONDS
        self._table.put(f"prediction#{key}", "id", prediction_id, expires)
