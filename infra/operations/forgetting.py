"""What operational items are about a person or about one of a person's streams, and how they go.

Whoever keeps items about people adds their ``forget(table, user_id)`` to PEOPLE; nobody else
needs to know. Each may be called again, and by itself brings nothing back.
"""

from __future__ import annotations

from collections.abc import Callable

from infra.operations import deliveries, key_uses
from infra.operations.table import OperationalTable

PEOPLE: tuple[Callable[[OperationalTable, str], object], ...] = (
    deliveries.forget,
    key_uses.forget,
)
_OF_STREAMS = (("progress#", "progress"), ("rung#", "rung"), ("seen#", "seen"))


def forget_person(table: OperationalTable, user_id: str) -> None:
    """Delete every item about that person. Raises Unavailable."""
    for forget in PEOPLE:
        forget(table, user_id)


def forget_stream(table: OperationalTable, stream: str) -> None:
    """Delete what was noted of a job or an upload. Raises Unavailable."""
    identity = stream.partition("-")[2]
    for kind, sk in _OF_STREAMS:
        table.delete(f"{kind}{identity if kind == 'progress#' else stream}", sk)
