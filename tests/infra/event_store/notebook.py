"""A small aggregate to fill streams with, and a clock to set."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from msgspec import Struct

from domain.aggregate import Aggregate, Event
from domain.commit import Append, Commit, Meta
from infra.event_store.store import CommitStore


class Noted(Event, frozen=True):
    """A line in a notebook."""

    text: str


class Notebook(Struct):
    """lines: how many; text: the last one."""

    lines: int = 0
    text: str = ""


def evolve(state: Notebook, event: Noted) -> Notebook:
    """Fold one event."""
    state.lines += 1
    state.text = event.text
    return state


NOTES = Aggregate("notes", (Noted,), Notebook, evolve)


class SetClock:
    """A clock that shows what it is told."""

    def __init__(self, now: int = 1_000) -> None:
        self.time = now

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self.time


def new_stream() -> str:
    """A stream that no other test uses."""
    return f"notes-{uuid4().hex}"


def new_meta() -> Meta:
    """A command of its own."""
    return Meta(f"cmd_{uuid4().hex}", "tester")


def write(store: CommitStore, stream: str, *texts: str, meta: Meta | None = None) -> Commit:
    """One commit with a line per text."""
    events = [Noted(text) for text in texts]
    [commit] = store.append([Append(store.load(NOTES, stream), events)], meta or new_meta())
    return commit


def write_together(store: CommitStore, streams: Sequence[str], text: str = "both") -> list[Commit]:
    """One commit to each stream, in one transaction."""
    appends = [Append(store.load(NOTES, s), [Noted(text)]) for s in streams]
    return store.append(appends, new_meta())
