"""Drums and bass in an accompaniment, by signal processing: approximate, no network.

Percussion stands upright in a spectrogram and tones lie flat, so medians along frequency
and along time tell them apart (D. FitzGerald, "Harmonic/percussive separation using median
filtering", DAFx 2010), softly, by the ratio of squares. Bass is the flat part that lies
low. The masks are shares of one whole: what neither takes is "other".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from infra.separators.framing import BINS, FRAME

_RATE = 44_100
_REACH = 8  # frames to each side: 0.4 s in all
_SPREAD = 8  # bins to each side: 180 Hz in all
_BASS_FULL, _BASS_NONE = 120.0, 300.0  # Hz
_TINY = 1e-10


class Rhythm:
    """Turns frames of vocals and accompaniment into vocals, drums, bass, 8 frames later."""

    def __init__(self, device: torch.device) -> None:
        self._magnitudes = torch.zeros(_REACH, BINS, device=device)
        self._held = torch.zeros(2, 2, 0, BINS, dtype=torch.complex64, device=device)
        hz = torch.arange(BINS, device=device) * (_RATE / FRAME)
        fall = (hz - _BASS_FULL) / (_BASS_NONE - _BASS_FULL)
        self._low = 0.5 + 0.5 * torch.cos(torch.pi * fall.clamp(0, 1))

    def push(self, vocals: Tensor, band: Tensor) -> Tensor:
        """Takes complex (2, n, 2049) each, gives complex (3, 2, m, 2049)."""
        self._held = torch.cat((self._held, torch.stack((vocals, band))), 2)
        return self._advance(band.abs().mean(0))

    def finish(self) -> Tensor:
        """The last frames, which see silence after them."""
        return self._advance(self._magnitudes.new_zeros(_REACH, BINS))

    def _advance(self, magnitudes: Tensor) -> Tensor:
        seen = torch.cat((self._magnitudes, magnitudes))
        ready = max(0, len(seen) - 2 * _REACH)
        drums, bass = self._masks(seen, ready)
        self._magnitudes = seen[ready:].clone()
        vocals, band = self._held[:, :, :ready]
        self._held = self._held[:, :, ready:].clone()
        return torch.stack((vocals, band * drums, band * bass))

    def _masks(self, seen: Tensor, ready: int) -> tuple[Tensor, Tensor]:
        if not ready:
            return seen[:0], seen[:0]
        middle = seen[_REACH : _REACH + ready]
        flat = seen.unfold(0, 2 * _REACH + 1, 1).median(-1).values.square()
        wide = functional.pad(middle[None], (_SPREAD, _SPREAD), mode="reflect")[0]
        upright = wide.unfold(1, 2 * _SPREAD + 1, 1).median(-1).values.square()
        drums = (upright + _TINY / 2) / (flat + upright + _TINY)
        return drums, (1 - drums) * self._low
