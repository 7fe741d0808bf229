"""Room on the worker's disk: no song is begun that could fill it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from domain.audio import FORMATS, Audio, Cancelled
from domain.errors import JobError, Unavailable

# Logs, the interpreter's own files, and what other programs write meanwhile.
SPARE_BYTES = 200_000_000
_POLL_SECONDS = 1.0
_MASTER_BYTES = 3  # a sample of a master that does not shrink at all
_PREVIEW_BYTES = 12_000 + 2_000  # a second of preview and waveform


def needed(audio: Audio, outputs: int, format_name: str, source_bytes: int, *, bundle: bool) -> int:
    """Bytes that a job may write at most: the upload, masters, files, previews, a zip."""
    samples = audio.samples * audio.channels
    sample = 4 if FORMATS[format_name].floating else _MASTER_BYTES
    file = samples * sample
    zipped = file if bundle else 0
    each = samples * _MASTER_BYTES + file + zipped + round(_PREVIEW_BYTES * audio.seconds)
    return source_bytes + outputs * (each + 1_000_000)


class Space:
    """What is left of a disk, with what running jobs were promised."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._promised: list[_Promise] = []

    @property
    def free(self) -> int:
        """Bytes that nobody was promised and nobody has written."""
        there = shutil.disk_usage(self._root).free
        return there - SPARE_BYTES - sum(promise.left for promise in self._promised)

    @asynccontextmanager
    async def reserved(
        self,
        size: int,
        directory: Path,
        cancelled: Callable[[], bool],
        patience: float = 300.0,
    ) -> AsyncIterator[None]:
        """``size`` bytes are kept for the block, which writes into ``directory``; waits for room.

        patience: seconds. Raises Cancelled; JobError ``worker_disk_full`` when the whole disk is
        too small; Unavailable when waiting took too long: another worker may have room.
        """
        if size > shutil.disk_usage(self._root).total - SPARE_BYTES:
            raise JobError(
                "worker_disk_full",
                f"This job may need {size // 1_000_000} MB of disk, more than the workers have. It "
                "cost nothing; ask for fewer stems or a compressed format.",
            )
        await self._wait(size, cancelled, time.monotonic() + patience)
        promise = _Promise(size, directory)
        self._promised.append(promise)
        try:
            yield
        finally:
            self._promised.remove(promise)

    async def _wait(self, size: int, cancelled: Callable[[], bool], give_up: float) -> None:
        while self.free < size:
            if cancelled():
                raise Cancelled
            if time.monotonic() > give_up:
                raise Unavailable(
                    f"The worker's disk has no room for the {size // 1_000_000} MB that this job "
                    "may need. Try again later."
                )
            await asyncio.sleep(_POLL_SECONDS)


class _Promise:
    """size: bytes that may be written into the directory in all."""

    def __init__(self, size: int, directory: Path) -> None:
        self._size, self._directory = size, directory

    @property
    def left(self) -> int:
        """Of it not written yet."""
        written = 0
        for path in self._directory.glob("*"):
            with suppress(FileNotFoundError):
                written += path.stat().st_size
        return max(0, self._size - written)
