"""From an upload in storage to stems in storage: the stages of one attempt, in their order.

What an earlier attempt stored is kept: only the rest is made, under the gain that is on record.
Each output is uploaded while the next one is encoded, and recorded as soon as it stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from commands import StoreStem
from commands.dispatch import Command
from domain.audio import FORMATS, Audio
from domain.job import JobState, SeparationRequested
from domain.stems import StemFile, StoredStem, preview_key, waveform_key
from handlers.worker import space
from handlers.worker.fetching import fetch, size_of
from handlers.worker.heartbeat import Heartbeat
from handlers.worker.metrics import Metrics
from handlers.worker.pipeline import Pipeline
from handlers.worker.stages import Stages, Watch, until_stopped
from handlers.worker.workplace import Workplace
from infra.bootstrap import Application
from infra.objects import bundle_key, stem_key
from infra.separators import Separator
from infra.stems import bundle
from infra.stems.track import Delivered

Execute = Callable[[Command], Awaitable[None]]
Stored = dict[str, StoredStem]
# Outputs that are encoded at the same time: an encoder uses one core, and workers have two or more.
_AT_ONCE = 2


class Making:
    """One attempt; ``make`` is called once."""

    def __init__(
        self,
        application: Application,
        workplace: Workplace,
        heart: Heartbeat,
        stages: Stages,
        execute: Execute,
        metrics: Metrics,
    ) -> None:
        self._app, self._workplace, self._metrics = application, workplace, metrics
        self._heart, self._stages, self._execute = heart, stages, execute
        self._files: dict[str, Path] = {}
        self._uploading, self._upload_tries = 0.0, 1
        self.loading = 0.0  # seconds that it took to bring the model into memory

    async def make(self, state: JobState) -> tuple[Stored, float, StemFile | None]:
        """All stems by name as they stand in storage, the gain in decibels, the zip if wanted.

        Raises JobError, Unavailable, Cancelled, StaleAttempt.
        """
        asked = state.asked
        missing = [name for name in asked.stems if name not in state.stored]
        source_bytes = await self._source_bytes(asked) if missing else 0
        audio = Audio(asked.samples, asked.rate, asked.channels)
        room = space.needed(
            audio, len(asked.stems), asked.format, source_bytes, bundle=asked.bundle
        )
        name = f"{self._heart.job_id}-{self._heart.attempt}"
        place = self._workplace.path(name)
        async with self._workplace.space.reserved(room, place, self._heart.cancelled):
            with self._workplace.directory(name) as directory:
                stored, gain_db = dict(state.stored), state.gain_db
                if missing:
                    pipeline = Pipeline(asked, missing, directory, self._app.settings.max_seconds)
                    gain_db = await self._separate(asked, pipeline, gain_db if stored else None)
                    stored |= await self._deliver(asked, pipeline, missing, gain_db)
                zipped = await self._bundle(asked, stored, directory) if asked.bundle else None
                return stored, gain_db, zipped

    async def _source_bytes(self, asked: SeparationRequested) -> int:
        async def ask(watch: Watch) -> int:
            return await until_stopped(size_of(self._app.objects, asked.source_key), watch)

        self._heart.enter("download")
        return await self._stages.quietly("download", ask)

    async def _separate(
        self, asked: SeparationRequested, pipeline: Pipeline, gain_db: float | None
    ) -> float:
        """Until every missing output is written; the gain, the recorded one where there is one."""
        key, objects = asked.source_key, self._app.objects
        await self._stages.run("download", lambda w: fetch(objects, key, pipeline.source, w))
        await self._stages.run("probe", lambda w: asyncio.to_thread(pipeline.probe, w))

        async def separate(watch: Watch) -> None:
            separator = await asyncio.to_thread(self._load, asked.model)
            await asyncio.to_thread(pipeline.separate, separator, watch, self._progress)

        _, tries = await self._stages.attempt("separate", separate)
        spent = pipeline.spent
        await self._stages.record("decode", round(1000 * spent.decode), tries)
        await self._stages.record("separate", round(1000 * spent.separate), tries)
        pipeline.source.unlink()
        return pipeline.gain_db if gain_db is None else gain_db

    def _load(self, model: str) -> Separator:
        if model in self._app.separators.resident():
            return self._app.separators.load(model)
        begun = time.monotonic()
        separator = self._app.separators.load(model)
        self.loading = time.monotonic() - begun
        self._app.speeds.note_load(model, self.loading)
        self._metrics.loaded(model, self.loading)
        return separator

    def _progress(self, done: float) -> None:
        self._heart.done = done

    async def _deliver(
        self, asked: SeparationRequested, pipeline: Pipeline, missing: list[str], gain_db: float
    ) -> Stored:
        """Encode a few outputs at a time; each is uploaded while the next ones are encoded."""
        uploads: dict[str, asyncio.Task[StoredStem]] = {}

        async def encode(watch: Watch) -> None:
            waiting = [name for name in missing if name not in uploads]
            for first in range(0, len(waiting), _AT_ONCE):
                names = waiting[first : first + _AT_ONCE]
                # All of them end before the first failure is told: a thread cannot be stopped,
                # and another try must not find it still at the same files.
                ended = await asyncio.gather(
                    *(asyncio.to_thread(pipeline.deliver, name, gain_db, watch) for name in names),
                    return_exceptions=True,
                )
                for made in ended:
                    if isinstance(made, BaseException):
                        continue
                    self._files[made.name] = made.file
                    uploads[made.name] = asyncio.create_task(
                        self._store(asked, made, gain_db, pipeline.residual_db)
                    )
                for failed in (e for e in ended if isinstance(e, BaseException)):
                    raise failed
                self._progress(len(uploads) / len(missing))

        try:
            begun = time.monotonic()
            _, tries = await self._stages.attempt("encode", encode)
            took = time.monotonic() - begun + pipeline.spent.encode
            await self._stages.record("encode", round(1000 * took), tries)
            return await self._arrived(uploads)
        finally:
            await _ended(uploads.values())

    async def _arrived(self, uploads: dict[str, asyncio.Task[StoredStem]]) -> Stored:
        self._heart.enter("upload")
        # All come to their end before the first failure is told: the next attempt need not make
        # again what can be stored now.
        arriving = asyncio.gather(*uploads.values(), return_exceptions=True)
        ended = await until_stopped(arriving, self._heart.cancelled)
        for failed in (e for e in ended if isinstance(e, BaseException)):
            raise failed
        stems = [e for e in ended if isinstance(e, StoredStem)]
        await self._stages.record("upload", round(1000 * self._uploading), self._upload_tries)
        return {stem.name: stem for stem in stems}

    async def _store(
        self,
        asked: SeparationRequested,
        made: Delivered,
        gain_db: float,
        residual_db: float | None,
    ) -> StoredStem:
        """Upload the companions, then the output, then say that it stands."""
        form = FORMATS[asked.format]
        key = stem_key(
            asked.user_id, self._heart.job_id, self._heart.attempt, made.name, form.extension
        )
        await self._put(made.preview, preview_key(key), "audio/mpeg")
        await self._put(made.waveform, waveform_key(key), "application/json")
        await self._put(made.file, key, form.media_type)
        stem = StoredStem(
            made.name, key, made.file.stat().st_size, form.media_type, made.peak, made.samples,
            made.over, made.silence, made.preview.stat().st_size,
        )  # fmt: skip
        await self._execute(
            StoreStem(self._heart.job_id, self._heart.attempt, stem, gain_db, residual_db)
        )
        return stem

    async def _put(self, path: Path, key: str, media_type: str) -> None:
        async def put(watch: Watch) -> None:
            await until_stopped(self._app.objects.upload(path, key, media_type), watch)

        begun = time.monotonic()
        _, tries = await self._stages.attempt("upload", put, quiet=True)
        self._uploading += time.monotonic() - begun
        self._upload_tries = max(self._upload_tries, tries)

    async def _bundle(
        self, asked: SeparationRequested, stored: Stored, directory: Path
    ) -> StemFile:
        """The zip of all outputs; those of earlier attempts are fetched back for it.

        Its entries are called by their stems alone: what the song is called is personal, and
        nothing that a worker has to know.
        """
        form, target = FORMATS[asked.format], directory / "stems.zip"
        for name in asked.stems:
            if name not in self._files:
                self._files[name] = directory / f"{name}.kept"
                await self._fetch_back(stored[name].key, self._files[name])
        entries = {f"{name}.{form.extension}": self._files[name] for name in asked.stems}
        await asyncio.to_thread(bundle.write, target, entries, self._heart.cancelled)
        key = bundle_key(asked.user_id, self._heart.job_id, self._heart.attempt)
        await self._put(target, key, "application/zip")
        return StemFile("bundle", key, target.stat().st_size, "application/zip")

    async def _fetch_back(self, key: str, target: Path) -> None:
        await self._stages.quietly(
            "download", lambda watch: fetch(self._app.objects, key, target, watch)
        )


async def _ended(tasks: Iterable[asyncio.Task[StoredStem]]) -> None:
    """Nothing goes on behind an attempt that is over; of those that are done this is no-op."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
