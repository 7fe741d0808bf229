"""A command that is sent again under its command id, because the answer got lost."""

from __future__ import annotations

from itertools import islice
from typing import Any

from commands.dispatch import Context
from domain.aggregate import Event
from domain.commit import Loaded, Meta
from domain.errors import KeyReused

# So many commits back a repeated command is looked for: more than most jobs ever have.
REMEMBERED_COMMITS = 64


def committed(context: Context, loaded: Loaded[Any], meta: Meta) -> list[Event]:
    """What this very command committed to the stream; nothing where it is new."""
    if not loaded.version:
        return []
    for commit in islice(context.store.newest_first(loaded.tip.stream), REMEMBERED_COMMITS):
        if commit.cmd == meta.cmd:
            return loaded.aggregate.decode(str(commit.events))
    return []


def reused() -> KeyReused:
    """The command id came with another wish."""
    return KeyReused("This Idempotency-Key came with another request; send a new key.")
