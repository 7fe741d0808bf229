"""Deleting what a job gave, having it back in time, and its end."""

from __future__ import annotations

from domain.aggregate import Event
from domain.errors import Refused
from domain.job import OPEN, JobState
from domain.job_removal import MediaPurged, SeparationDeleted, SeparationRestored
from domain.retention import over


def gone(state: JobState, now: int) -> bool:
    """Whether its results are not to be had: deleted, or over their date."""
    return state.purged or bool(state.deleted_until) or over(state.expires, now)


def delete(state: JobState, until: int) -> list[Event]:
    """Deleting again changes nothing. Raises Refused while the job is open."""
    if state.status in OPEN:
        raise Refused("This job is open; cancel it first.")
    if state.purged or state.deleted_until:
        return []
    return [SeparationDeleted(state.asked.user_id, until)]


def restore(state: JobState, now: int) -> list[Event]:
    """What is not deleted stays as it is. Raises Refused once the time is over."""
    user_id = state.asked.user_id
    if state.purged or over(state.deleted_until, now):
        raise Refused("Its results are gone for good; separate the song again.")
    return [SeparationRestored(user_id)] if state.deleted_until else []


def purge(state: JobState, now: int, removed: int, *, asset_over: bool) -> list[Event]:
    """Said once, when its date or the asset's has come. Raises Refused before, or while open."""
    if state.status in OPEN:
        raise Refused("This job is open; its attempt still writes to storage.")
    if state.purged:
        return []
    if not (asset_over or over(state.deleted_until, now) or over(state.expires, now)):
        raise Refused("The time of this job's results is not over.")
    return [MediaPurged(state.asked.user_id, removed)]
