"""Work that was imported from another stage: it sleeps until somebody acts on it here."""

from __future__ import annotations

from commands.dispatch import Context
from domain.commit import JOURNALED


def sleeps(context: Context, stream: str) -> bool:
    """Whether the stream was imported from another stage and nobody has acted on it here."""
    newest = next(iter(context.store.newest_first(stream)), None)
    return newest is not None and newest.origin not in (None, JOURNALED)
