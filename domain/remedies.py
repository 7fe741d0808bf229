"""What operators do about a job: have it done anew, end it, give back what it cost."""

from __future__ import annotations

from domain import reasons
from domain.aggregate import Event
from domain.errors import NotFound, Refused
from domain.job import (
    ABANDONED,
    CANCELLED,
    COMPLETED,
    FAILED,
    OPEN,
    JobState,
    SeparationRefunded,
    SeparationRequested,
    SeparationRequeued,
    fail,
)


def requeue(state: JobState, reason: str) -> list[Event]:
    """Have it done anew, whoever holds it; one that failed runs again at no cost.

    The number of attempts goes on, since storage keys carry it. Raises Invalid, Refused, NotFound.
    """
    asked, said = _asked(state), reasons.stated(reason)
    if state.status not in (*OPEN, FAILED):
        raise Refused(
            f"This job is {state.status}; only a queued, running or failed one is done anew."
        )
    free = state.free or state.status == FAILED
    return [SeparationRequeued(asked.user_id, state.attempt + 1, said, free, asked.lane)]


def abandon(state: JobState, reason: str) -> list[Event]:
    """Fail it, whoever holds it; failed already: no events. Raises Invalid, Refused."""
    said = reasons.stated(reason)
    if state.status in (COMPLETED, CANCELLED):
        raise Refused(f"This job is {state.status}; only an open one can be failed.")
    return fail(state, None, "", ABANDONED, said)


def refund(state: JobState, grant_id: str, reason: str) -> list[Event]:
    """Give back what it was charged; given back already: no events. Raises Invalid, Refused."""
    asked, said = _asked(state), reasons.stated(reason)
    if state.status != COMPLETED:
        raise Refused(f"This job is {state.status}; only a completed one was charged.")
    if not state.charged:
        raise Refused("This job cost nothing; there is nothing to give back.")
    if state.refunded:
        return []
    return [SeparationRefunded(asked.user_id, state.charged, grant_id, said)]


def _asked(state: JobState) -> SeparationRequested:
    if state.erased:
        raise NotFound("No such job; its user was forgotten.")
    return state.asked
