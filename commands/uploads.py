"""Commands on media assets. The bytes themselves never pass here; see handlers/api."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.library import sealed_here
from domain import asset, controls
from domain.asset import ASSET, AssetState
from domain.audio import Audio
from domain.commit import Append, Loaded, Meta
from domain.errors import Invalid, UploadTooLarge
from domain.retention import expiry


class InitializeUpload(Command, frozen=True):
    """Open an upload session over a multipart upload that storage has created."""

    user_id: str
    asset_id: str
    filename: str
    content_type: str
    size: int
    part_size: int
    key: str
    upload_id: str


class CompleteUpload(Command, frozen=True):
    """All bytes stand in storage: ``size`` bytes under ``etag``."""

    user_id: str
    asset_id: str
    size: int
    etag: str


class AbortUpload(Command, frozen=True):
    """Give an upload up."""

    user_id: str
    asset_id: str
    reason: str


class RecordProbe(Command, frozen=True):
    """What decoding the whole file found. digest: SHA-256 of its bytes in hex."""

    asset_id: str
    audio: Audio
    container: str
    codec: str
    digest: str = ""


class RejectAsset(Command, frozen=True):
    """Why the file cannot be separated."""

    asset_id: str
    code: str
    detail: str


def check_size(context: Context, size: int) -> None:
    """Raises Invalid for an empty file and UploadTooLarge above the published limit."""
    limit = context.catalog.limits.max_bytes
    if size <= 0:
        raise Invalid("The file is empty; choose a file with sound in it.")
    if size > limit:
        raise UploadTooLarge(
            f"The file has {size} bytes and the limit is {limit}; compress or cut it.",
            limit=limit,
        )


def check_intake(context: Context) -> None:
    """Raises Paused while operators let nothing new in."""
    controls.require_open(context.switchboard.state())


@handles(InitializeUpload)
def initialize_upload(
    context: Context, command: InitializeUpload, meta: Meta
) -> tuple[Position, ...]:
    """Refused above the published size before anything is stored.

    Raises Paused for a new upload only: one that was opened is told so again.
    """
    check_size(context, command.size)
    loaded = _load(context, command.asset_id)
    if not loaded.version:
        check_intake(context)
    opening = asset.UploadInitialized(
        command.user_id, "", command.content_type, command.size,
        command.part_size, command.key, command.upload_id,
        sealed_here(context, loaded, command.user_id, "name", command.filename),
    )  # fmt: skip
    return context.commit(meta, Append(loaded, asset.initialize(loaded.state, opening)))


@handles(CompleteUpload)
def complete_upload(context: Context, command: CompleteUpload, meta: Meta) -> tuple[Position, ...]:
    """The commit itself wakes the probe."""
    loaded = _load(context, command.asset_id)
    asset.owned(loaded.state, command.user_id)
    events = asset.complete(
        loaded.state, command.size, command.etag,
        expiry(context.clock.now(), context.retention.originals),
    )  # fmt: skip
    return context.commit(meta, Append(loaded, events))


@handles(AbortUpload)
def abort_upload(context: Context, command: AbortUpload, meta: Meta) -> tuple[Position, ...]:
    """A finished upload is not aborted."""
    loaded = _load(context, command.asset_id)
    asset.owned(loaded.state, command.user_id)
    return context.commit(meta, Append(loaded, asset.abort(loaded.state, command.reason)))


@handles(RecordProbe)
def record_probe(context: Context, command: RecordProbe, meta: Meta) -> tuple[Position, ...]:
    """From here the asset can be priced."""
    loaded = _load(context, command.asset_id)
    events = asset.probed(
        loaded.state, command.audio, command.container, command.codec, command.digest
    )
    return context.commit(meta, Append(loaded, events))


@handles(RejectAsset)
def reject_asset(context: Context, command: RejectAsset, meta: Meta) -> tuple[Position, ...]:
    """The user reads ``detail``; programs read ``code``."""
    loaded = _load(context, command.asset_id)
    events = asset.reject(loaded.state, command.code, command.detail)
    return context.commit(meta, Append(loaded, events))


def _load(context: Context, asset_id: str) -> Loaded[AssetState]:
    return context.store.load(ASSET, ASSET.stream(asset_id))
