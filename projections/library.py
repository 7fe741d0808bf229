"""Library: a user's uploads and what became of them. One row per asset stream."""

from __future__ import annotations

from msgspec import Struct

from domain import asset
from domain.aggregate import Event, Recorded
from domain.asset import ASSET
from domain.audio import Audio
from domain.retention import earliest
from domain.sealed import Sealed
from projections.projection import Index, Projection, purge_day


class AssetView(Struct):
    """size: bytes; created, changed: epoch milliseconds.

    name, tags: sealed, as in the events; filename: in plain, of before names were sealed.
    expires, deleted_until: epoch ms, 0 for never. purged: the bytes are gone.
    """

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
    key: str = ""
    name: Sealed | None = None
    tags: Sealed | None = None
    expires: int = 0
    deleted_until: int = 0
    purged: bool = False


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
            view.name, view.key = event.name, event.key
        case asset.UploadCompleted():
            view.status, view.size, view.expires = asset.UPLOADED, event.size, event.expires
        case asset.UploadAborted():
            view.status, view.failure = asset.ABORTED, event.reason
        case asset.AssetProbed():
            view.status, view.audio = asset.READY, event.audio
            view.container, view.codec = event.container, event.codec
        case asset.AssetRejected():
            view.status, view.failure, view.detail = asset.REJECTED, event.code, event.detail
        case _:
            _keep(view, event)
    return []


def _keep(view: AssetView, event: Event) -> None:
    """What it is called, and how long it stays."""
    match event:
        case asset.AssetRenamed():
            view.name, view.filename = event.name, ""
        case asset.AssetTagged():
            view.tags = event.tags
        case asset.AssetDeleted():
            view.deleted_until = event.until
        case asset.AssetRestored():
            view.deleted_until = 0
        case asset.AssetPurged():
            view.purged = True


def index(view: AssetView) -> Index:
    """A user's uploads by time; by status unprobed ones, for the sweeper, and those that go some
    day, for the janitor.
    """
    status = view.status if view.status == asset.UPLOADED else _going(view)
    if view.deleted_until:
        status = _going(view)
    return Index(view.user_id, f"{view.created:015d}#{view.asset_id}", status)


def _going(view: AssetView) -> str | None:
    date = earliest(view.expires, view.deleted_until)
    return purge_day(date) if date and not view.purged else None


LIBRARY_VIEW = Projection(
    "library", 2, ASSET, AssetView, apply, index,
    changes={
        2: (
            "body.key", "body.name", "body.tags", "body.expires", "body.deleted_until",
            "body.purged",
        ),
    },
)  # fmt: skip
