"""What a worker may do under its attempt number: claim, record, keep, hand back, finish."""

from __future__ import annotations

from domain.aggregate import Event
from domain.job import (
    COMPLETED,
    GAVE_UP,
    GAVE_UP_DETAIL,
    MAX_ATTEMPTS,
    OPEN,
    RUNNING,
    JobState,
    SeparationCompleted,
    SeparationHandedBack,
    SeparationStarted,
    StageRecorded,
    StemStored,
    fail,
    stale,
)
from domain.stems import StemFile, StoredStem


def start(state: JobState, worker: str) -> list[Event]:
    """Claim the job as the next attempt; no events once it has ended.

    A job that outlived MAX_ATTEMPTS claims fails instead: it may be what kills its workers.
    """
    asked = state.asked
    if state.status not in OPEN:
        return []
    if state.attempt - state.fresh_at >= MAX_ATTEMPTS:
        return fail(state, None, "", GAVE_UP, GAVE_UP_DETAIL)
    return [SeparationStarted(asked.user_id, state.attempt + 1, worker)]


def record_stage(
    state: JobState, attempt: int, stage: str, milliseconds: int, tries: int = 1
) -> list[Event]:
    """Note a finished stage. Raises StaleAttempt."""
    _must_hold(state, attempt)
    return [StageRecorded(state.asked.user_id, attempt, stage, milliseconds, tries)]


def store_stem(
    state: JobState, attempt: int, stem: StoredStem, gain_db: float, residual_db: float | None
) -> list[Event]:
    """Keep a finished stem; one that stands already is not replaced. Raises StaleAttempt."""
    _must_hold(state, attempt)
    if stem.name in state.stored:
        return []
    return [StemStored(state.asked.user_id, attempt, stem, gain_db, residual_db)]


def complete(
    state: JobState,
    attempt: int,
    stems: tuple[StemFile, ...],
    gain_db: float,
    bundle: StemFile | None = None,
    expires: int = 0,
) -> list[Event]:
    """Finish with these stems; again by the same attempt is harmless. Raises StaleAttempt."""
    if state.status == COMPLETED and state.attempt == attempt:
        return []
    _must_hold(state, attempt)
    user_id = state.asked.user_id
    return [
        SeparationCompleted(
            user_id, attempt, stems, gain_db, bundle, reused_from=None, expires=expires
        )
    ]


def hand_back(state: JobState, attempt: int) -> list[Event]:
    """Leave the job to another worker. Raises StaleAttempt."""
    _must_hold(state, attempt)
    asked = state.asked
    return [SeparationHandedBack(asked.user_id, attempt, asked.lane)]


def _must_hold(state: JobState, attempt: int) -> None:
    if state.status != RUNNING or state.attempt != attempt:
        raise stale(state, attempt)
