"""One probe: decode the whole upload, record what it is or why it cannot be separated."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from commands import RecordProbe, RejectAsset, execute
from commands.dispatch import Command
from domain.asset import ASSET, UPLOADED
from domain.commit import Meta
from domain.errors import MediaError, SplitSoundError
from handlers.worker.fetching import fetch, size_of
from handlers.worker.stages import POLICIES
from handlers.worker.workplace import Workplace
from infra import media, tracing
from infra.bootstrap import Application
from infra.queue import Message, Queue
from projections.doorbell import Doorbell, parse


class Probe:
    """Handles messages of the probe queue. Needs no GPU and no model."""

    def __init__(
        self, application: Application, worker: str, workplace: Workplace, log: Any
    ) -> None:
        self._app = application
        self._worker = worker
        self._workplace = workplace
        self._log = log
        self._queue: Queue = application.queue("probe")
        self._draining = False

    @property
    def queue(self) -> Queue:
        """Where its messages come from."""
        return self._queue

    def drain(self) -> None:
        """Stop the running probe; its message comes back."""
        self._draining = True

    async def handle(self, message: Message) -> bool:
        """Probe the asset that the message names; whether the message is done with."""
        bell = parse(message.body)
        with tracing.stage("probe", bell.trace, tracing.CONSUMER, asset=bell.identity):
            return await self._handle(message, bell)

    async def _handle(self, message: Message, bell: Doorbell) -> bool:
        asset_id = bell.identity
        loaded = await asyncio.to_thread(self._app.store.load, ASSET, ASSET.stream(asset_id))
        if loaded.state.status != UPLOADED:
            return True
        keep = asyncio.create_task(self._keep_invisible(message))
        try:
            verdict = await self._examine(asset_id, loaded.state.key)
        finally:
            keep.cancel()
        meta = Meta(
            self._app.ids.fresh("cmd"), f"worker:{self._worker}", bell.corr, bell.cmd,
            tracing.current(),
        )  # fmt: skip
        await asyncio.to_thread(execute, self._app.context, verdict, meta)
        self._log.info("probed", asset=asset_id, verdict=type(verdict).__name__)
        return True

    async def _examine(self, asset_id: str, key: str) -> Command:
        try:
            size = await size_of(self._app.objects, key)
            # Uploads are large: unasked, one takes the room that running jobs were promised.
            name = f"probe-{asset_id}"
            place = self._workplace.path(name)
            async with self._workplace.space.reserved(size, place, lambda: self._draining):
                with self._workplace.directory(name) as directory:
                    digest, found = await self._measured(key, directory / "source")
        except MediaError as error:
            return RejectAsset(asset_id, error.code, error.detail)
        return RecordProbe(asset_id, found.audio, found.container, found.codec, digest)

    async def _measured(self, key: str, source: Path) -> tuple[str, media.Measured]:
        limit = self._app.settings.max_seconds
        await fetch(self._app.objects, key, source, lambda: self._draining)
        digest = await asyncio.to_thread(_digest, source)
        found = await asyncio.to_thread(
            media.measure,
            source,
            max_seconds=limit,
            timeout=POLICIES["probe"].limit(limit),
            cancelled=lambda: self._draining,
        )
        return digest, found

    async def _keep_invisible(self, message: Message) -> None:
        visibility = self._app.settings.visibility_seconds
        while True:
            await asyncio.sleep(visibility / 3)
            try:
                await asyncio.to_thread(self._queue.hide, message, visibility)
            except SplitSoundError as error:
                # Two more chances before the message comes back to somebody else.
                self._log.warning("message not extended", error=error.detail)


def _digest(path: Path) -> str:
    """SHA-256 of the file's bytes: equal uploads need no second separation."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
