"""Library: a user's uploads and what became of them. One row per asset stream."""

from __future__ import annotations

from msgspec import Struct

from domain import asset
from domain.aggregate import Recorded
from domain.asset import ASSET
from domain.audio import Audio
from projections.projection import Index, Projection


class AssetView(Struct):
    """size: bytes; created, changed: epoch milliseconds."""

    asset_id: str = ""
    user_id: str = ""
    filename: str = ""
    content_type: str = ""
    size: int = 0
    status: str = asset.ABSENT
    audio: Audio | None = None
    container: str = ""
    codec: str = ""
    failure: str = ""
    detail: str = ""
    created: int = 0
    changed: int = 0


def apply(view: AssetView, recorded: Recorded) -> list[Struct]:
    """Fold one event."""
    event = recorded.event
    view.changed = recorded.time
    match event:
        case asset.UploadInitialized():
            view.asset_id = recorded.stream.partition("-")[2]
            view.user_id, view.filename = event.user_id, event.filename
            view.content_type, view.size = event.content_type, event.size
            view.status, view.created = asset.UPLOADING, recorded.time
        case asset.UploadCompleted():
            view.status, view.size = asset.UPLOADED, event.size
        case asset.UploadAborted():
            view.status, view.failure = asset.ABORTED, event.reason
        case asset.AssetProbed():
            view.status, view.audio = asset.READY, event.audio
            view.container, view.codec = event.container, event.codec
        case asset.AssetRejected():
            view.status, view.failure, view.detail = asset.REJECTED, event.code, event.detail
    return []


def index(view: AssetView) -> Index:
    """A user's uploads by time; unprobed ones by status, for the sweeper."""
    status = view.status if view.status == asset.UPLOADED else None
    return Index(view.user_id, f"{view.created:015d}#{view.asset_id}", status)


LIBRARY_VIEW = Projection("library", 1, ASSET, AssetView, apply, index)
