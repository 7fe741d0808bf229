"""What operators hold shut: intake, a model, a projection. One stream for the deployment.

- ``intake``: no new uploads and no new jobs (maintenance mode);
- ``model:<name>``: no new jobs with that model, and queued ones wait;
- ``projection:<name>``: the projector leaves that read model alone.

What has begun goes on whatever is paused: uploads are completed, jobs are cancelled, workers
finish.
"""

from __future__ import annotations

import re

from msgspec import Struct

from domain import reasons
from domain.aggregate import Aggregate, Event
from domain.errors import Invalid
from domain.errors import Paused as IsPaused

# --- events (these names are the storage format) ---------------------------------------


class Paused(Event, frozen=True):
    """Shut from now on. retry_seconds: when callers are told to come back."""

    subject: str
    reason: str
    retry_seconds: int


class Resumed(Event, frozen=True):
    """Open again."""

    subject: str
    reason: str


# --- state ------------------------------------------------------------------------------

INTAKE, MODEL, PROJECTION = "intake", "model", "projection"
_SUBJECT = re.compile(r"intake|(model|projection):[a-z0-9][a-z0-9._-]{0,99}")
MAX_RETRY_SECONDS = 24 * 3600


class Switch(Struct, frozen=True):
    """Why something is shut, and for how long callers should wait."""

    reason: str
    retry_seconds: int


class ControlsState(Struct):
    """What is shut, by subject."""

    paused: dict[str, Switch] = {}


def evolve(state: ControlsState, event: Event) -> ControlsState:
    """Fold one event."""
    match event:
        case Paused():
            state.paused[event.subject] = Switch(event.reason, event.retry_seconds)
        case Resumed():
            state.paused.pop(event.subject, None)
    return state


EVENTS = (Paused, Resumed)
CONTROLS = Aggregate("controls", EVENTS, ControlsState, evolve)
STREAM = CONTROLS.stream("all")

# --- decisions --------------------------------------------------------------------------


def of_model(name: str) -> str:
    """The subject of a model."""
    return f"{MODEL}:{name}"


def of_projection(name: str) -> str:
    """The subject of a read model."""
    return f"{PROJECTION}:{name}"


def named(subject: str) -> tuple[str, str]:
    """Kind and name of a subject; intake has no name. Raises Invalid for any other text."""
    if not _SUBJECT.fullmatch(subject):
        raise Invalid(
            f"Nothing is called {subject!r}; what can be paused is {INTAKE}, {MODEL}:<name> "
            f"and {PROJECTION}:<name>."
        )
    kind, _, name = subject.partition(":")
    return kind, name


def pause(state: ControlsState, subject: str, reason: str, retry_seconds: int) -> list[Event]:
    """Shut it; again for the same reason changes nothing, another reason replaces the first.

    retry_seconds: 1 second to a day. Raises Invalid.
    """
    named(subject)
    if not 1 <= retry_seconds <= MAX_RETRY_SECONDS:
        raise Invalid(f"Callers can be told to wait 1 to {MAX_RETRY_SECONDS} seconds.")
    wanted = Switch(reasons.stated(reason), retry_seconds)
    if state.paused.get(subject) == wanted:
        return []
    return [Paused(subject, wanted.reason, retry_seconds)]


def resume(state: ControlsState, subject: str, reason: str) -> list[Event]:
    """Open it again; what is open stays open. Raises Invalid."""
    named(subject)
    said = reasons.stated(reason)
    return [Resumed(subject, said)] if subject in state.paused else []


def require_open(state: ControlsState, model: str | None = None) -> None:
    """Raises errors.Paused while intake, or that model, is shut."""
    for subject in (INTAKE, of_model(model or "")):
        switch = state.paused.get(subject)
        if switch:
            _, name = named(subject)
            what = f"The model {name} is paused" if name else "New uploads and jobs are paused"
            raise IsPaused(subject, what, switch.reason, switch.retry_seconds)
