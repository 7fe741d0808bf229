"""The outline of a stem, for players: BBC audiowaveform's JSON, version 2, 8 bits, one channel.

The format is what ``audiowaveform -b 8 --output-format json`` writes and peaks.js and
wavesurfer.js read: pairs of minimum and maximum, -128..127, one for each "pixel".
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.audio import Audio
from infra.media.sound import Block

MOST_POINTS = 4000
_FEWEST_SAMPLES = 256


class Waveform:
    """Collects minima and maxima block by block; at most MOST_POINTS of them."""

    def __init__(self, audio: Audio) -> None:
        self._rate = audio.rate
        self._per_point = max(_FEWEST_SAMPLES, -(-audio.samples // MOST_POINTS))
        self._points: list[NDArray[np.float32]] = []
        self._open = np.zeros(0, np.float32)

    def add(self, block: Block) -> None:
        """Takes (channels, n) samples."""
        mono = np.concatenate((self._open, block.mean(axis=0, dtype=np.float32)))
        whole = len(mono) // self._per_point * self._per_point
        self._keep(mono[:whole].reshape(-1, self._per_point))
        self._open = mono[whole:]

    def _keep(self, windows: NDArray[np.float32]) -> None:
        if windows.size:
            self._points.append(np.stack((windows.min(axis=1), windows.max(axis=1)), axis=1))

    def document(self, gain: float) -> bytes:
        """The JSON text; what came last may be less than a whole point."""
        if len(self._open):
            self._keep(self._open[None])
            self._open = self._open[:0]
        points = np.concatenate(self._points) if self._points else np.zeros((0, 2), np.float32)
        data = np.clip(np.rint(points * (gain * 128)), -128, 127).astype(int)
        return msgspec.json.encode({
            "version": 2,
            "channels": 1,
            "sample_rate": self._rate,
            "samples_per_pixel": self._per_point,
            "bits": 8,
            "length": len(data),
            "data": data.ravel().tolist(),
        })  # fmt: skip
