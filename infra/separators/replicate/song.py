"""The song on disk: for the remainder that is made here, and as the file that the provider gets."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.audio import FORMATS, Audio, Cancelled
from infra import media
from infra.separators import Request

Block = NDArray[np.float32]


class Song:
    """A song of ``request.samples``, kept as a ``media.Master``: 24 bits under its peak.

    gain: a power of two, 1 unless a sample is over full scale. Floats go there (decoded MP3 does
    all the time) and FLAC does not: the provider is given the song times ``gain``, and what it
    gives back is divided by it, both exactly.
    """

    def __init__(self, request: Request, directory: Path, cancelled: Callable[[], bool]) -> None:
        self.audio = Audio(request.samples, request.rate, request.channels)
        self.gain = 1.0
        self._path, self._cancelled = directory / "song.flac", cancelled
        self._timeout = time_limit(self.audio.seconds)
        self._master = media.Master(
            self._path, self.audio, timeout=self._timeout, cancelled=cancelled
        )
        self._digest = hashlib.sha256(f"{request.rate},{request.channels};".encode())

    def take(self, chunks: Iterable[Block]) -> None:
        """Writes all of it as it comes.

        Raises ValueError when it is not what was announced; MediaError; Cancelled.
        """
        with self._master as master:
            for chunk in chunks:
                if self._cancelled():
                    raise Cancelled
                if chunk.shape[0] != self.audio.channels:
                    raise ValueError(
                        f"a block of {chunk.shape[0]} channels, not {self.audio.channels}"
                    )
                self._digest.update(chunk.T.astype("<f4").tobytes())
                master.write(chunk)
            master.finish()
        if master.peak > 1.0:
            self.gain = 2.0 ** -math.ceil(math.log2(master.peak))

    def digest(self) -> str:
        """Of its samples, however they were cut into chunks."""
        return self._digest.hexdigest()

    def sendable(self) -> Path:
        """A file that anybody's decoder takes for this song times ``gain``.

        Raises MediaError, Cancelled.
        """
        if self._master.plain:
            return self._path
        # The other reason for not being plain is a rate that FLAC's header has no room for.
        nameable = self.audio.rate <= 65_535 or self.audio.rate % 10 == 0
        flac = nameable and self.audio.rate <= FORMATS["flac"].max_rate
        chosen = FORMATS["flac" if flac else "wav"]
        target = self._path.with_name(f"sent.{chosen.extension}")
        with media.Encoder(
            target, self.audio, chosen, timeout=self._timeout, cancelled=self._cancelled
        ) as encoder:
            for block in self.blocks():
                encoder.write(block * np.float32(self.gain))
            encoder.finish()
        return target

    def blocks(self) -> Iterator[Block]:
        """It again, as blocks of ``infra.media.sound.BLOCK`` samples, the last one shorter."""
        return self._master.blocks(timeout=self._timeout, cancelled=self._cancelled)


def time_limit(seconds: float) -> float:
    """For one ffmpeg run over so much audio, in seconds: far more than a busy machine takes."""
    return 120 + seconds


@contextmanager
def closed(blocks: Iterator[Block]) -> Iterator[Iterator[Block]]:
    """Stops what makes the blocks when the context is left."""
    try:
        yield blocks
    finally:
        if isinstance(blocks, Generator):
            blocks.close()
