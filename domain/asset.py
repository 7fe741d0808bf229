"""A media asset: an upload session, then a completed upload, then probed or rejected."""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Aggregate, Event
from domain.audio import Audio
from domain.erased import Erased
from domain.errors import (
    AssetGone,
    AssetNotReady,
    AssetUnusable,
    KeyReused,
    NotFound,
    Refused,
)
from domain.retention import over
from domain.sealed import Sealed

# --- events (these names are the storage format) ---------------------------------------


class UploadInitialized(Event, frozen=True):
    """A multipart upload is open. size, part_size: bytes.

    name: what the user calls it. filename: the same in plain, in events of before names were
    sealed; empty since.
    """

    user_id: str
    filename: str
    content_type: str
    size: int
    part_size: int
    key: str
    upload_id: str
    name: Sealed | None = None


class UploadCompleted(Event, frozen=True):
    """All bytes stand in storage. size: bytes as storage counts them.

    expires: epoch ms at which they go; 0 keeps them until they are deleted.
    """

    user_id: str
    key: str
    size: int
    etag: str
    expires: int = 0


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


class AssetRenamed(Event, frozen=True):
    """The user calls it something else."""

    user_id: str
    name: Sealed


class AssetTagged(Event, frozen=True):
    """The tags that it has from now on: a JSON array, sealed; None for no tags."""

    user_id: str
    tags: Sealed | None


class AssetDeleted(Event, frozen=True):
    """The user wants it gone, and all that was made of it. until: epoch ms; before, it can be
    had back.
    """

    user_id: str
    until: int


class AssetRestored(Event, frozen=True):
    """The user wants it after all."""

    user_id: str


class AssetPurged(Event, frozen=True):
    """Its bytes are gone for good. removed: objects that were deleted for it."""

    user_id: str
    removed: int


# --- state ------------------------------------------------------------------------------

ABSENT, UPLOADING, UPLOADED, READY, REJECTED, ABORTED = (
    "absent", "uploading", "uploaded", "ready", "rejected", "aborted",
)  # fmt: skip


class AssetState(Struct):
    """status is one of the constants above. name, tags, expires: as in the events.

    deleted_until: epoch ms, 0 unless deleted. purged: its bytes are gone. erased: its user is.
    """

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
    name: Sealed | None = None
    tags: Sealed | None = None
    expires: int = 0
    deleted_until: int = 0
    purged: bool = False
    erased: bool = False


def evolve(state: AssetState, event: Event) -> AssetState:
    """Fold one event."""
    match event:
        case UploadInitialized():
            state.status = UPLOADING
            state.user_id = event.user_id
            state.filename, state.content_type = event.filename, event.content_type
            state.size, state.part_size = event.size, event.part_size
            state.key, state.upload_id = event.key, event.upload_id
            state.name = event.name
        case UploadCompleted():
            state.status, state.size, state.expires = UPLOADED, event.size, event.expires
        case UploadAborted():
            state.status, state.failure = ABORTED, event.reason
        case AssetProbed():
            state.status, state.audio, state.digest = READY, event.audio, event.digest
        case AssetRejected():
            state.status, state.failure, state.detail = REJECTED, event.code, event.detail
        case _:
            _evolve_keeping(state, event)
    return state


def _evolve_keeping(state: AssetState, event: Event) -> None:
    """What it is called, and how long it stays."""
    match event:
        case AssetRenamed():
            state.name, state.filename = event.name, ""
        case AssetTagged():
            state.tags = event.tags
        case AssetDeleted():
            state.deleted_until = event.until
        case AssetRestored():
            state.deleted_until = 0
        case AssetPurged():
            state.purged = True
        case Erased():
            state.erased = True


EVENTS = (
    UploadInitialized, UploadCompleted, UploadAborted, AssetProbed, AssetRejected,
    AssetRenamed, AssetTagged, AssetDeleted, AssetRestored, AssetPurged,
    Erased,
)  # fmt: skip
ASSET = Aggregate("asset", EVENTS, AssetState, evolve)

# --- decisions --------------------------------------------------------------------------


def initialize(state: AssetState, opening: UploadInitialized) -> list[Event]:
    """Open the session once; the same request again changes nothing.

    Whether it names the same file only somebody who can open sealed names can tell.
    """
    if state.status == ABSENT:
        return [opening]
    told = (state.user_id, state.content_type, state.size)
    if state.erased or told != (opening.user_id, opening.content_type, opening.size):
        raise KeyReused("This Idempotency-Key began another upload; send a new key.")
    return []


def complete(state: AssetState, size: int, etag: str, expires: int = 0) -> list[Event]:
    """The bytes stand in storage. Completing again is harmless."""
    if state.status in (UPLOADED, READY, REJECTED):
        return []
    if state.status != UPLOADING:
        raise Refused("This upload was aborted; start a new one.")
    return [UploadCompleted(state.user_id, state.key, size, etag, expires)]


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
    if state.status == ABSENT or state.user_id != user_id or state.erased:
        raise NotFound("No such upload in your library.")
    return state


def rename(state: AssetState, name: Sealed) -> list[Event]:
    """Raises AssetGone once it is deleted."""
    return [AssetRenamed(here(state).user_id, name)]


def tag(state: AssetState, tags: Sealed | None) -> list[Event]:
    """No tags where there are none changes nothing. Raises AssetGone once it is deleted."""
    return [] if here(state).tags is tags is None else [AssetTagged(state.user_id, tags)]


def delete(state: AssetState, until: int) -> list[Event]:
    """Deleting again changes nothing. Raises Refused while it is being uploaded."""
    if state.status == UPLOADING:
        raise Refused("This upload is not complete; abort it instead.")
    return [] if state.deleted_until else [AssetDeleted(state.user_id, until)]


def restore(state: AssetState, now: int) -> list[Event]:
    """What is not deleted stays as it is. Raises AssetGone once the time is over."""
    if over(state.deleted_until, now) or (state.deleted_until and state.purged):
        raise AssetGone("This upload is gone for good; upload the file again.")
    return [AssetRestored(state.user_id)] if state.deleted_until else []


def purge(state: AssetState, now: int, removed: int) -> list[Event]:
    """Said once, when its date has come. Raises Refused before."""
    if state.purged:
        return []
    if not (over(state.deleted_until, now) or over(state.expires, now)):
        raise Refused("The time of this upload is not over.")
    return [AssetPurged(state.user_id, removed)]


def here(state: AssetState) -> AssetState:
    """The state of what is not deleted. Raises AssetGone."""
    if state.deleted_until:
        raise AssetGone("This upload is deleted; restore it first.")
    return state


def separable(state: AssetState, user_id: str, now: int = 0) -> Audio:
    """The measured audio of an asset that this user may separate. now: epoch ms.

    Raises NotFound, AssetGone, AssetNotReady or AssetUnusable.
    """
    here(owned(state, user_id))
    if state.purged or over(state.expires, now):
        raise AssetGone("The time of this upload is over; upload the file again.")
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
