"""What a job's stream says once its results are to go. The decisions are in domain/removing.py."""

from __future__ import annotations

from domain.aggregate import Event


class SeparationDeleted(Event, frozen=True):
    """The user wants its results gone. until: epoch ms; before, they can be had back."""

    user_id: str
    until: int


class SeparationRestored(Event, frozen=True):
    """The user wants them after all."""

    user_id: str


class MediaPurged(Event, frozen=True):
    """Its results are gone for good. removed: objects that were deleted for it."""

    user_id: str
    removed: int
