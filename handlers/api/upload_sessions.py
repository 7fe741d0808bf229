"""Upload sessions: the asset's stream and S3's multipart upload, kept in step.

Two stores cannot change together, so each path is ordered such that a crash between any
two calls loses nothing and the same request again heals it:

- open: multipart first, then the fact. A crash leaves an empty multipart upload that the
  bucket's lifecycle removes.
- complete: S3 joins the parts, then the fact. A retry finds the upload gone and the object
  there, and goes on.
- abort: the fact first; from then on nobody may complete, so the parts can be dropped, now or by
  the same request again.
"""

from __future__ import annotations

from msgspec import Struct

from commands import AbortUpload, CompleteUpload, InitializeUpload
from commands.uploads import check_intake, check_size
from domain import asset
from domain.asset import ABORTED, ASSET, UPLOADING, AssetState, UploadInitialized
from domain.commit import Loaded, Meta
from domain.errors import Invalid, KeyReused, PartsMismatch, Paused, Refused, UploadExpired
from domain.parts import Part, Parts
from handlers.api.names import name_of
from handlers.api.service import Service
from infra.objects import original_key

EXPIRED = "upload_expired"


class Wish(Struct, frozen=True):
    """What is to be uploaded. size: bytes."""

    user_id: str
    asset_id: str
    filename: str
    content_type: str
    size: int


class Session(Struct, frozen=True):
    """An upload as it stands; received is empty once it is no longer uploading."""

    asset_id: str
    version: int
    state: AssetState
    received: list[Part] = []

    @property
    def parts(self) -> Parts:
        """How the file is cut."""
        return Parts(self.state.size, self.state.part_size)

    @property
    def missing(self) -> list[int]:
        """Numbers of the parts still to be sent."""
        return self.parts.missing(self.received) if self.state.status == UPLOADING else []


class UploadSessions:
    """Opens, resumes, completes and aborts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._objects = service.objects

    async def open(self, wish: Wish, meta: Meta) -> Session:
        """A new session, or the one that the same request opened before.

        Raises Invalid, UploadTooLarge, KeyReused, UploadExpired or Paused.
        """
        check_size(self._service.application.context, wish.size)
        loaded = await self._load(wish.asset_id)
        if loaded.version:
            asset.initialize(loaded.state, _opening(wish, ""))
            self._same_name(wish, loaded.state)
            return await self.resume(wish.user_id, wish.asset_id, meta)
        await self._service.run(check_intake, self._service.application.context)
        upload_id = await self._objects.create_multipart(_key(wish), wish.content_type)
        try:
            await self._service.execute(_initialize(wish, upload_id), meta)
        except (Invalid, Paused):
            # Refused for good, while an Unavailable may have been recorded all the same.
            await self._objects.abort_multipart(_key(wish), upload_id)
            raise
        loaded = await self._load(wish.asset_id)
        if loaded.state.upload_id == upload_id:
            return Session(wish.asset_id, loaded.version, loaded.state)
        # The same request, twice at once, and the other one was first.
        self._same_name(wish, loaded.state)
        await self._objects.abort_multipart(_key(wish), upload_id)
        return await self.resume(wish.user_id, wish.asset_id, meta)

    async def resume(self, user_id: str, asset_id: str, meta: Meta) -> Session:
        """What S3 has of it. Raises NotFound, or UploadExpired when S3 lost the session."""
        loaded = await self._owned(user_id, asset_id)
        state = loaded.state
        if state.status != UPLOADING:
            return Session(asset_id, loaded.version, state)
        try:
            received = await self._objects.parts(state.key, state.upload_id)
        except UploadExpired as gone:
            return await self._settle(loaded, asset_id, gone, meta)
        return Session(asset_id, loaded.version, state, received)

    async def complete(
        self, user_id: str, asset_id: str, named: list[Part] | None, meta: Meta
    ) -> Session:
        """Join the parts into the file that was declared; completing again is harmless.

        Raises NotFound, PartsMismatch, UploadExpired or Refused.
        """
        loaded = await self._owned(user_id, asset_id)
        state = loaded.state
        if state.status == UPLOADING:
            try:
                stored = await self._objects.parts(state.key, state.upload_id)
                joined = Parts(state.size, state.part_size).check(stored, named)
                await self._objects.complete_multipart(state.key, state.upload_id, joined)
            except UploadExpired as gone:
                return await self._settle(loaded, asset_id, gone, meta)
        return await self._record(loaded, asset_id, meta)

    async def abort(self, user_id: str, asset_id: str, meta: Meta) -> None:
        """Give it up; again is harmless. Raises NotFound, or Refused once it is complete."""
        await self._service.execute(AbortUpload(user_id, asset_id, "aborted by the user"), meta)
        await self._discard((await self._load(asset_id)).state)

    def _same_name(self, wish: Wish, state: AssetState) -> None:
        # Renamed since then, the request may well be the same one.
        opened = state.name is not None and state.name.version == 1
        if opened and name_of(self._service, ASSET.stream(wish.asset_id), state) != wish.filename:
            raise KeyReused("This Idempotency-Key began another upload; send a new key.")

    async def _settle(
        self, loaded: Loaded[AssetState], asset_id: str, gone: UploadExpired, meta: Meta
    ) -> Session:
        """S3 knows no such upload: it was joined and we crashed before saying so, or is lost."""
        state = loaded.state
        stored = await self._objects.head(state.key)
        if stored is not None and stored.size == state.size:
            return await self._record(loaded, asset_id, meta)
        await self._service.execute(AbortUpload(state.user_id, asset_id, EXPIRED), meta)
        raise gone

    async def _record(self, loaded: Loaded[AssetState], asset_id: str, meta: Meta) -> Session:
        state = loaded.state
        size, etag = state.size, ""
        if state.status == UPLOADING:
            stored = await self._objects.head(state.key)
            if stored is None or stored.size != state.size:
                raise PartsMismatch(f"Storage does not hold the {state.size} bytes declared.")
            size, etag = stored.size, stored.etag
        try:
            await self._service.execute(CompleteUpload(state.user_id, asset_id, size, etag), meta)
        except Refused:
            # Aborted meanwhile, perhaps before S3 had joined the parts: leave none.
            if state.status == UPLOADING:
                await self._discard((await self._load(asset_id)).state)
            raise
        done = await self._load(asset_id)
        return Session(asset_id, done.version, done.state)

    async def _discard(self, state: AssetState) -> None:
        """Drop the parts of an aborted upload. Only safe because abortion is final.

        What was joined just before is a stray, and the janitor's to delete: nobody else may.
        """
        if state.status == ABORTED:
            await self._objects.abort_multipart(state.key, state.upload_id)

    async def _owned(self, user_id: str, asset_id: str) -> Loaded[AssetState]:
        loaded = await self._load(asset_id)
        state = asset.owned(loaded.state, user_id)
        if state.status == ABORTED and state.failure == EXPIRED:
            raise UploadExpired("Storage lost the parts of this upload. Start a new upload.")
        return loaded

    async def _load(self, asset_id: str) -> Loaded[AssetState]:
        store, stream = self._service.application.store, ASSET.stream(asset_id)
        loaded: Loaded[AssetState] = await self._service.run(store.load, ASSET, stream)
        if loaded.version:
            self._service.acknowledged.note(stream, loaded.version)
        return loaded


def _key(wish: Wish) -> str:
    return original_key(wish.user_id, wish.asset_id)


def _opening(wish: Wish, upload_id: str) -> UploadInitialized:
    return UploadInitialized(
        wish.user_id, wish.filename, wish.content_type, wish.size,
        asset.part_size(wish.size), _key(wish), upload_id,
    )  # fmt: skip


def _initialize(wish: Wish, upload_id: str) -> InitializeUpload:
    return InitializeUpload(
        wish.user_id, wish.asset_id, wish.filename, wish.content_type, wish.size,
        asset.part_size(wish.size), _key(wish), upload_id,
    )  # fmt: skip
