"""Samples as arrays: what counts as sound, its statistics, and integers made of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""Samples of shape (channels, n)."""

BLOCK = 1 << 16  # samples per channel in a block, unless somebody asks for another size
SAMPLE_BYTES = 4  # float32

# 60 dB over full scale. Float files can carry infinities and 1e38, which squared spectra
# turn into NaN for seconds around; no recording is this loud.
LOUDEST = 1000.0


def sane(samples: Block) -> Block:
    """The samples, with NaN and infinities as 0 and what is absurd limited to +-1000.

    Every reader does this, so that what is called the mix is the same for all of them.
    """
    if not samples.size or peak(samples) <= LOUDEST:  # false for NaN too
        return samples
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -LOUDEST, LOUDEST)


def peak(samples: Block) -> float:
    """The largest absolute value; 0 where there is none, NaN where one is NaN."""
    if not samples.size:
        return 0.0
    return float(np.maximum(samples.max(), -samples.min()))


class Statistics:
    """Mean and sample deviation of the mono mix (the mean of the channels), in float64.

    Blocks are merged by the pairwise update of Chan, Golub and LeVeque ("Updating formulae
    and a pairwise algorithm for computing sample variances", 1979), which no offset upsets.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, samples: Block) -> None:
        """Counts one block, (channels, n)."""
        mono = samples[0].astype(np.float64)
        for channel in samples[1:]:
            mono += channel
        mono /= len(samples)
        mean = float(mono.mean())
        mono -= mean
        squares, n, total = float(np.dot(mono, mono)), len(mono), self._count + len(mono)
        offset = mean - self._mean
        self._mean += offset * n / total
        self._squares += squares + offset * offset * self._count * n / total
        self._count = total

    @property
    def mean(self) -> float:
        """Of all samples so far; 0 before the first."""
        return self._mean

    @property
    def deviation(self) -> float:
        """With one degree of freedom off, as torch's ``std``; 0 for fewer than two samples."""
        return math.sqrt(self._squares / (self._count - 1)) if self._count > 1 else 0.0


def as_float(samples: Block) -> bytes:
    """Interleaved little-endian float32."""
    return samples.T.astype("<f4").tobytes()


def as_24_bits(samples: Block) -> bytes:
    """Interleaved s32le whose lowest byte is 0: 24 bits, rounded to even, limited.

    Rounded here because ffmpeg's own conversion cuts towards -infinity. Float32 is exact for
    it: scaling by a power of two changes no digit and 24 bits hold every result.
    """
    return (_whole(samples, 2.0**23) << 8).tobytes()


def as_16_bits(samples: Block) -> bytes:
    """Interleaved s16le, rounded to even and limited. No dither: see ``Encoder``."""
    return _whole(samples, 2.0**15).astype("<i2").tobytes()


def _whole(samples: Block, full_scale: float) -> NDArray[np.int32]:
    scaled = np.multiply(samples.T, np.float32(full_scale), order="C")
    np.rint(scaled, out=scaled)
    np.clip(scaled, -full_scale, full_scale - 1, out=scaled)
    return scaled.astype("<i4")
