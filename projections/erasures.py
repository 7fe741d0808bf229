"""Erasures: who asked to be forgotten, so that the janitor finds what is not finished."""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Recorded
from domain.user import USER, UserErased, UserErasureFinished
from projections.projection import Index, Projection

ERASING = "erasing"


class ErasureView(Struct):
    """The last erasure of a user id. begun, finished: epoch ms, 0 before."""

    user_id: str = ""
    begun: int = 0
    finished: int = 0


def apply(view: ErasureView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    match recorded.event:
        case UserErased() as event:
            view.user_id, view.begun, view.finished = event.user_id, recorded.time, 0
        case UserErasureFinished():
            view.finished = recorded.time
    return []


def index(view: ErasureView) -> Index:
    """Nobody's list; the unfinished ones by when they were begun."""
    unfinished = view.begun > 0 and not view.finished
    return Index("", f"{view.begun:015d}#{view.user_id}", ERASING if unfinished else None)


ERASURES_VIEW = Projection(
    "erasures", 1, USER, ErasureView, apply, index,
    moved_by=frozenset((UserErased.event_name(), UserErasureFinished.event_name())),
)  # fmt: skip
