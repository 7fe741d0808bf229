"""What operational items are about a person or about one of a person's streams, and how they go.

A module beside this one that keeps items about people has a ``forget(table, user_id)``, and is
found by it: nobody else needs to know of it. Each may be called again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules

from infra import operations
from infra.operations.table import OperationalTable

_OF_STREAMS = (("progress#", "progress"), ("rung#", "rung"), ("seen#", "seen"))


def forgetters() -> Iterator[Callable[[OperationalTable, str], object]]:
    """What deletes a person's items, one for each kind."""
    for each in iter_modules(operations.__path__):
        module = import_module(f"{operations.__name__}.{each.name}")
        if hasattr(module, "forget"):
            yield module.forget


def forget_person(table: OperationalTable, user_id: str) -> None:
    """Delete every item about that person. Raises Unavailable."""
    for forget in forgetters():
        forget(table, user_id)


def forget_stream(table: OperationalTable, stream: str) -> None:
    """Delete what was noted of a job or an upload. Raises Unavailable."""
    identity = stream.partition("-")[2]
    for kind, sk in _OF_STREAMS:
        table.delete(f"{kind}{identity if kind == 'progress#' else stream}", sk)
