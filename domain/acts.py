"""What operators did that changes no history: to rows, messages and storage. One stream of its own.

Said before it is done, so that no crash leaves an act without its reason; one that fails may
stand here as well. Pauses, and hands on jobs and accounts, are facts of those streams.
"""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Aggregate, Event
from domain.errors import Invalid
from domain.reasons import stated

# --- events (these names are the storage format) ---------------------------------------


class OperatorActed(Event, frozen=True):
    """act: one of ACTS. subject: on what, as ``projection:jobs@3``."""

    act: str
    subject: str
    reason: str


# --- state ------------------------------------------------------------------------------


class ActsState(Struct):
    """Nothing follows from an act but that it was done."""


def evolve(state: ActsState, _event: Event) -> ActsState:
    """Fold one event."""
    return state


EVENTS = (OperatorActed,)
ACTS_OF_OPERATORS = Aggregate("acts", EVENTS, ActsState, evolve)
STREAM = ACTS_OF_OPERATORS.stream("all")

# --- decisions --------------------------------------------------------------------------

ROLL_BACK, REBUILD, ACCEPT, DROP = "roll_back", "rebuild", "rebuild_and_accept", "drop"
REPAIR, REDRIVE, REPUBLISH = "repair", "redrive", "republish"
RECONCILE, DELETE_STRAYS = "reconcile", "delete_strays"
ACTS = (
    ROLL_BACK, REBUILD, ACCEPT, DROP, REPAIR, REDRIVE, REPUBLISH, RECONCILE, DELETE_STRAYS,
)  # fmt: skip
MOST_SUBJECT = 300


def act(what: str, subject: str, reason: str) -> list[Event]:
    """Raises Invalid without a reason, or for an act that there is not."""
    if what not in ACTS or not 0 < len(subject) <= MOST_SUBJECT:
        raise Invalid(f"No operator's act is {what!r} on {subject[:80]!r}.")
    return [OperatorActed(what, subject, stated(reason))]
