"""What operators hold shut, since when and by whom, and every change that they made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

import projections
from domain.controls import CONTROLS, MODEL, PROJECTION, STREAM, Paused, Resumed, named
from domain.errors import Invalid
from infra.bootstrap import Application

LOOKED_BACK = 500
"""Changes that are read at most to find out since when something is shut."""


class Change(Struct, frozen=True):
    """One turn of a switch. retry_seconds: None when it was opened; time: epoch ms."""

    version: int
    time: int
    subject: str
    reason: str
    by: str
    retry_seconds: int | None

    @property
    def shuts(self) -> bool:
        """Whether it was shut."""
        return self.retry_seconds is not None


class Held(Struct, frozen=True):
    """A subject that is shut. since: epoch ms; reason, retry_seconds, by: as last said."""

    subject: str
    reason: str
    retry_seconds: int
    by: str
    since: int


def changes(application: Application) -> Iterator[Change]:
    """The newest first, read as far as they are asked for. Raises Unavailable."""
    for commit in application.store.newest_first(STREAM):
        events = CONTROLS.decode(str(commit.events))
        for place, event in reversed(list(enumerate(events))):
            assert isinstance(event, Paused | Resumed)
            yield Change(
                commit.first + place, commit.t, event.subject, event.reason, commit.actor,
                event.retry_seconds if isinstance(event, Paused) else None,
            )  # fmt: skip


def held(application: Application) -> list[Held]:
    """What is shut at this moment, the longest first. Raises Unavailable."""
    state = application.store.load(CONTROLS, STREAM).state
    found: dict[str, Held] = {}
    wanted = set(state.paused)
    recent = islice(changes(application), LOOKED_BACK) if wanted else ()
    for change in recent:
        if change.subject in wanted and change.shuts:
            known = found.get(change.subject)
            switch = state.paused[change.subject]
            found[change.subject] = Held(
                change.subject, switch.reason, switch.retry_seconds,
                known.by if known else change.by, change.time,
            )  # fmt: skip
        elif change.subject in found:
            wanted.discard(change.subject)  # it was open before
        if not wanted:
            break
    return sorted(found.values(), key=lambda each: each.since)


def require_known(application: Application, subject: str) -> None:
    """Raises Invalid or UnknownModel where there is no such thing, unless it is shut."""
    kind, name = named(subject)
    if subject in application.store.load(CONTROLS, STREAM).state.paused:
        return
    if kind == MODEL:
        application.catalog.model(name)
    if kind == PROJECTION and name not in projections.ALL:
        raise Invalid(
            f"There is no read model {name!r}; there are {', '.join(sorted(projections.ALL))}."
        )
