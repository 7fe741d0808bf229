"""From a command to its handler, with a bounded number of tries when others win a stream."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct, field

from commands.ports import Clock, EventStore, Ids, Pause, Results, Sealer, Switchboard
from domain.catalog import Catalog
from domain.commit import Append, Commit, Meta
from domain.controls import ControlsState
from domain.errors import Conflict
from domain.retention import Retention

TRIES = 10


class Command(Struct, frozen=True):
    """A wish, in the imperative. Subclasses are the names of the API."""


class Position(Struct, frozen=True):
    """Where a command left a stream; a query given it answers at least that new.

    commit: what the command wrote there, so that its answer need not read it again.
    """

    stream: str
    version: int
    commit: Commit | None = None


class AlwaysOpen:
    """The switchboard of a world without operators."""

    def state(self) -> ControlsState:
        """Nothing is shut."""
        return ControlsState()


class NoResults:
    """The memory of a world where every job is the first of its kind."""

    def find(self, user_id: str, fingerprint: str) -> str | None:  # noqa: ARG002
        """Never any."""
        return None


class Context(Struct, frozen=True):
    """Everything that a handler may use. signup_grant: credits given to a new user."""

    store: EventStore
    clock: Clock
    ids: Ids
    sealer: Sealer
    catalog: Catalog
    signup_grant: int = 600
    switchboard: Switchboard = AlwaysOpen()
    results: Results = NoResults()
    retention: Retention = Retention()
    pause: Pause = time.sleep
    random: random.Random = field(default_factory=random.Random)

    def commit(self, meta: Meta, *appends: Append) -> tuple[Position, ...]:
        """Append those that have events, all in one transaction; where every stream now is."""
        to_write = [a for a in appends if a.events]
        written = self.store.append(to_write, meta) if to_write else []
        commits = {commit.stream: commit for commit in written}
        places = ((a.onto.tip.stream, a.onto.version + len(a.events)) for a in appends)
        return tuple(Position(s, version, commits.get(s)) for s, version in places)


Handler = Callable[[Context, Any, Meta], tuple[Position, ...]]
C = TypeVar("C", bound=Command)

_handlers: dict[type[Command], Handler] = {}


def handles(
    command: type[C],
) -> Callable[
    [Callable[[Context, C, Meta], tuple[Position, ...]]],
    Callable[[Context, C, Meta], tuple[Position, ...]],
]:
    """Register the one handler of a command."""

    def register(
        handler: Callable[[Context, C, Meta], tuple[Position, ...]],
    ) -> Callable[[Context, C, Meta], tuple[Position, ...]]:
        _handlers[command] = handler
        return handler

    return register


def execute(context: Context, command: Command, meta: Meta) -> tuple[Position, ...]:
    """Run a command; the first position is the command's own stream.

    When another writer wins, load and decide again, up to TRIES times with jittered
    waits (full jitter, doubling from 10 ms), then raise Conflict.
    """
    handler = _handlers[type(command)]
    for attempt in range(TRIES):
        try:
            return handler(context, command, meta)
        except Conflict:
            if attempt == TRIES - 1:
                raise
        context.pause(context.random.uniform(0, 0.01 * 2**attempt))
    raise AssertionError("unreachable")
