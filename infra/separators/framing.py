"""Short-time Fourier frames of a stream and back, with the same result for any chunking.

Spleeter's frames: 4096 samples under a periodic Hann window, one every 1024. Frame j starts
at sample j*1024 - 3072, so that four frames cover every sample, the first one included;
the squared windows then add up to 1.5 everywhere and no normalisation at the ends is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor

FRAME, HOP = 4096, 1024
LEAD = FRAME - HOP  # zeros before the song
BINS = FRAME // 2 + 1
_GAIN = 1.5  # sum of four squared Hann windows a quarter apart


def frames_for(samples: int) -> int:
    """How many frames touch a song of that many samples."""
    return (samples - 1 + LEAD) // HOP + 1 if samples else 0


def spectra(samples: Tensor) -> Tensor:
    """Frames of (2, n) samples: complex (2, 1 + (n - 4096) // 1024, 2049)."""
    window = torch.hann_window(FRAME, device=samples.device)
    frames: Tensor = samples.unfold(-1, FRAME, HOP)
    transformed: Tensor = torch.fft.rfft(frames * window)
    return transformed


class Synthesis:
    """Adds frames up to samples; only those that no later frame touches come out."""

    def __init__(self, stems: int, device: torch.device) -> None:
        self._carry = torch.zeros(stems, 2, LEAD, device=device)
        self._window = torch.hann_window(FRAME, device=device) / _GAIN
        self._skip = LEAD

    def push(self, frames: Tensor) -> Tensor:
        """Takes complex (stems, 2, n, 2049), gives (stems, 2, at most n * 1024) samples."""
        stems, _, count, _ = frames.shape
        if not count:
            return self._carry[..., :0]
        pieces = torch.fft.irfft(frames, n=FRAME) * self._window
        out = torch.zeros(stems, 2, count * HOP + LEAD, device=frames.device)
        out[..., :LEAD] = self._carry
        for quarter in range(FRAME // HOP):
            start = quarter * HOP
            part = pieces[..., start : start + HOP].reshape(stems, 2, count * HOP)
            out[..., start : start + count * HOP] += part
        self._carry = out[..., count * HOP :].clone()
        done = out[..., : count * HOP]
        skipped = min(self._skip, done.shape[-1])
        self._skip -= skipped
        return done[..., skipped:]
