"""Room on the worker's disk: no song is begun that could fill it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from domain.audio import FORMATS, Audio, Cancelled
from domain.errors import JobError

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
        self._promised: dict[object, int] = {}

    @property
    def free(self) -> int:
        """Bytes that nobody was promised."""
        there = shutil.disk_usage(self._root).free
        return there - SPARE_BYTES - sum(self._promised.values())

    @asynccontextmanager
    async def reserved(
        self, size: int, cancelled: Callable[[], bool], patience: float = 1800.0
    ) -> AsyncIterator[None]:
        """``size`` bytes are kept for the block; waits while other jobs hold the room.

        patience: seconds. Raises Cancelled; JobError ``worker_disk_full``, transient, when waiting
        cannot help or took too long.
        """
        give_up = time.monotonic() + patience
        while self.free < size:
            if cancelled():
                raise Cancelled
            if not self._promised or time.monotonic() > give_up:
                raise JobError(
                    "worker_disk_full",
                    f"This job may need {size // 1_000_000} MB of disk and the worker has "
                    f"{max(0, self.free) // 1_000_000} MB. It cost nothing; ask for fewer stems, "
                    "or try again later.",
                    transient=True,
                )
            await asyncio.sleep(_POLL_SECONDS)
        ticket = object()
        self._promised[ticket] = size
        try:
            yield
        finally:
            del self._promised[ticket]
