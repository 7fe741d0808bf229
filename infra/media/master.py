"""A stem between the network and the formats: 24 bits, whatever its level.

One gain common to all stems is known only when the last block of the last stem is there, and
a stem may peak over full scale although its song does not. So blocks over full scale are
halved until they fit and the halvings are remembered: *block floating point*, as in Oppenheim,
"Realization of digital filters using block-floating-point arithmetic" (IEEE Trans. Audio and
Electroacoustics, 1970). It is a FLAC file, a sixth of the size of two float64 channels, and
for nearly every song it already is the file to deliver.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import numpy as np
from msgspec.structs import replace

from domain.audio import FORMATS, Audio
from infra.media import process
from infra.media.decode import blocks
from infra.media.encode import Encoder
from infra.media.sound import BLOCK, Block, peak, sane

_CARRIED = 65_535  # Hz: up to here, and at multiples of 10 up to ten times that, FLAC has all rates


class Master:
    """Writes a stem once and reads it back as often as wanted: a context manager for writing.

    Leaving the context without ``finish`` removes the file. timeout and the errors are those
    of ``Encoder``; NaN and infinities become 0 as in ``blocks``.
    """

    def __init__(
        self,
        path: Path,
        audio: Audio,
        *,
        timeout: float,
        cancelled: Callable[[], bool] = process.never,
    ) -> None:
        self._path, self._audio = path, audio
        # FLAC cannot name some rates. The samples do not care how they are labelled.
        self._label = audio if _carries(audio.rate) else replace(audio, rate=48_000)
        self._encoder = Encoder(
            path, self._label, FORMATS["flac"], timeout=timeout, cancelled=cancelled
        )
        self._open = np.empty((audio.channels, BLOCK), np.float32)
        self._filled, self._peak = 0, 0.0
        self._halvings = bytearray()  # one number per block; 255 would be 1,500 dB

    def __enter__(self) -> Self:
        self._encoder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._encoder.__exit__(*error)

    @property
    def peak(self) -> float:
        """The largest absolute sample so far; full scale is 1."""
        return self._peak

    @property
    def plain(self) -> bool:
        """Whether the file is, byte for byte, what ``Encoder`` writes as ``flac``."""
        return not any(self._halvings) and self._label is self._audio

    def write(self, block: Block) -> None:
        """Takes (channels, n) float32 samples, n of any size."""
        at = 0
        while at < block.shape[1]:
            n = min(BLOCK - self._filled, block.shape[1] - at)
            self._open[:, self._filled : self._filled + n] = block[:, at : at + n]
            self._filled += n
            at += n
            if self._filled == BLOCK:
                self._store()

    def finish(self) -> None:
        """Completes the file. Raises ValueError when more or fewer samples came than said."""
        if self._filled:
            self._store()
        self._encoder.finish()

    def blocks(
        self, *, timeout: float, cancelled: Callable[[], bool] = process.never
    ) -> Iterator[Block]:
        """The stem again, as ``blocks`` of a file; each sample within half a 24-bit step of
        the level that its block peaks at.
        """
        stored = blocks(self._path, audio=self._label, timeout=timeout, cancelled=cancelled)
        with closing(stored):
            for halvings, block in zip(self._halvings, stored, strict=True):
                yield np.ldexp(block, halvings) if halvings else block

    def _store(self) -> None:
        block = sane(self._open[:, : self._filled])
        loudest = peak(block)
        self._peak = max(self._peak, loudest)
        halvings = math.ceil(math.log2(loudest)) if loudest > 1 else 0
        self._halvings.append(halvings)
        self._encoder.write(np.ldexp(block, -halvings) if halvings else block)
        self._filled = 0


def _carries(rate: int) -> bool:
    return rate <= _CARRIED or (rate <= 10 * _CARRIED and rate % 10 == 0)
