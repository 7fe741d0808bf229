"""What the quality report says: how loud, how silent, and whether the stems add up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from infra.media.sound import Block, peak

SILENT_DB = -60.0
_WINDOW_SECONDS = 0.1


class Levels:
    """Measures one stem block by block, in windows of 0.1 s. rate: Hz."""

    def __init__(self, rate: int) -> None:
        self.peak, self.over = 0.0, 0
        self._window = max(1, round(rate * _WINDOW_SECONDS))
        self._energy, self._filled = 0.0, 0
        self._silent = self._windows = 0

    def add(self, block: Block) -> None:
        """Counts (channels, n) samples; full scale is 1."""
        top = peak(block)
        self.peak = max(self.peak, top)
        if top > 1.0:
            self.over += int(np.count_nonzero(np.abs(block) > 1.0))
        power = np.square(block, dtype=np.float32).mean(axis=0, dtype=np.float64)
        at = min(self._window - self._filled, len(power)) if self._filled else 0
        self._fill(power[:at])
        whole = (len(power) - at) // self._window * self._window
        energies = power[at : at + whole].reshape(-1, self._window).sum(axis=1)
        self._count(energies)
        self._fill(power[at + whole :])

    def _fill(self, power: NDArray[np.float64]) -> None:
        self._energy += float(power.sum())
        self._filled += len(power)
        if self._filled == self._window:
            self._count(np.array([self._energy]))
            self._energy, self._filled = 0.0, 0

    def _count(self, energies: NDArray[np.float64]) -> None:
        limit = self._window * 10 ** (SILENT_DB / 10)
        self._windows += len(energies)
        self._silent += int(np.count_nonzero(energies < limit))

    @property
    def silence(self) -> float:
        """Share of the windows whose RMS lies below -60 dBFS; less than one counts as one."""
        if not self._windows:
            return float(self._energy < max(1, self._filled) * 10 ** (SILENT_DB / 10))
        return round(self._silent / self._windows, 4)


class Residual:
    """The song minus the sum of its stems, against the song."""

    def __init__(self) -> None:
        self._song = self._rest = 0.0

    def add(self, song: Block, total: Block) -> None:
        """Both (channels, n)."""
        self._song += float(np.square(song, dtype=np.float64).sum())
        self._rest += float(np.square(song - total, dtype=np.float64).sum())

    @property
    def decibels(self) -> float | None:
        """At best -200; None when the song is silence."""
        if not self._song:
            return None
        return round(max(-200.0, 10 * math.log10(self._rest / self._song + 1e-20)), 1)
