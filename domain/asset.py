"""A media asset: an upload session, then a completed upload, then probed or rejected."""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Aggregate, Event
from domain.audio import Audio
from domain.errors import AssetNotReady, AssetUnusable, KeyReused, NotFound, Refused

# --- events (these names are the storage format) ---------------------------------------


class UploadInitialized(Event, frozen=True):
    """A multipart upload is open. size, part_size: bytes."""

    user_id: str
    filename: str
    content_type: str
    size: int
    part_size: int
    key: str
    upload_id: str


class UploadCompleted(Event, frozen=True):
    """All bytes stand in storage. size: bytes as storage counts them."""

    user_id: str
    key: str
    size: int
    etag: str


class UploadAborted(Event, frozen=True):
    """The session ended without a file: the user gave up, or storage lost it."""

    user_id: str
    reason: str


class AssetProbed(Event, frozen=True):
    """What decoding the whole file found; prices count these samples. digest: SHA-256 in hex."""

    user_id: str
    audio: Audio
    container: str
    codec: str
    digest: str = ""


class AssetRejected(Event, frozen=True):
    """The file cannot be separated. code: a MediaError code."""

    user_id: str
    code: str
    detail: str


# --- state ------------------------------------------------------------------------------

ABSENT, UPLOADING, UPLOADED, READY, REJECTED, ABORTED = (
    "absent", "uploading", "uploaded", "ready", "rejected", "aborted",
)  # fmt: skip


class AssetState(Struct):
    """status is one of the constants above."""

    status: str = ABSENT
    user_id: str = ""
    filename: str = ""
    content_type: str = ""
    size: int = 0
    part_size: int = 0
    key: str = ""
    upload_id: str = ""
    audio: Audio | None = None
    failure: str = ""
    detail: str = ""
    digest: str = ""


def evolve(state: AssetState, event: Event) -> AssetState:
    """Fold one event."""
    match event:
        case UploadInitialized():
            state.status = UPLOADING
            state.user_id = event.user_id
            state.filename, state.content_type = event.filename, event.content_type
            state.size, state.part_size = event.size, event.part_size
            state.key, state.upload_id = event.key, event.upload_id
        case UploadCompleted():
            state.status, state.size = UPLOADED, event.size
        case UploadAborted():
            state.status, state.failure = ABORTED, event.reason
        case AssetProbed():
            state.status, state.audio, state.digest = READY, event.audio, event.digest
        case AssetRejected():
            state.status, state.failure, state.detail = REJECTED, event.code, event.detail
    return state


EVENTS = (UploadInitialized, UploadCompleted, UploadAborted, AssetProbed, AssetRejected)
ASSET = Aggregate("asset", EVENTS, AssetState, evolve)

# --- decisions --------------------------------------------------------------------------


def initialize(state: AssetState, opening: UploadInitialized) -> list[Event]:
    """Open the session once; the same request again changes nothing."""
    if state.status == ABSENT:
        return [opening]
    told = (state.user_id, state.filename, state.content_type, state.size)
    if told != (opening.user_id, opening.filename, opening.content_type, opening.size):
        raise KeyReused("This Idempotency-Key began another upload; send a new key.")
    return []


def complete(state: AssetState, size: int, etag: str) -> list[Event]:
    """The bytes stand in storage. Completing again is harmless."""
    if state.status in (UPLOADED, READY, REJECTED):
        return []
    if state.status != UPLOADING:
        raise Refused("This upload was aborted; start a new one.")
    return [UploadCompleted(state.user_id, state.key, size, etag)]


def abort(state: AssetState, reason: str) -> list[Event]:
    """Give the session up. Aborting again is harmless; a finished upload stays."""
    if state.status in (ABORTED, ABSENT):
        return []
    if state.status != UPLOADING:
        raise Refused("This upload is complete; it can no longer be aborted.")
    return [UploadAborted(state.user_id, reason)]


def probed(
    state: AssetState, audio: Audio, container: str, codec: str, digest: str = ""
) -> list[Event]:
    """Record what the worker measured; a redelivered probe changes nothing."""
    if state.status != UPLOADED:
        return []
    return [AssetProbed(state.user_id, audio, container, codec, digest)]


def reject(state: AssetState, code: str, detail: str) -> list[Event]:
    """Record why the file cannot be separated; a redelivered probe changes nothing."""
    if state.status != UPLOADED:
        return []
    return [AssetRejected(state.user_id, code, detail)]


def owned(state: AssetState, user_id: str) -> AssetState:
    """The state, if it is that user's. Raises NotFound: a stranger learns nothing."""
    if state.status == ABSENT or state.user_id != user_id:
        raise NotFound("No such upload in your library.")
    return state


def separable(state: AssetState, user_id: str) -> Audio:
    """The measured audio of an asset that this user may separate.

    Raises NotFound, AssetNotReady or AssetUnusable.
    """
    owned(state, user_id)
    if state.status == REJECTED:
        raise AssetUnusable(state.detail, reason=state.failure)
    if state.audio is None:
        raise AssetNotReady(
            "The upload is not complete; finish it first."
            if state.status in (UPLOADING, ABORTED)
            else "The upload is still being probed; ask again in a moment."
        )
    return state.audio


MIB = 1024 * 1024


def part_size(size: int) -> int:
    """Bytes per part: at least 8 MiB, and at most 9,000 parts (S3 allows 10,000)."""
    return max(8 * MIB, -(-size // (9000 * MIB)) * MIB)


def part_count(size: int) -> int:
    """Parts of an upload of ``size`` bytes; the last one may be shorter."""
    return -(-size // part_size(size))
