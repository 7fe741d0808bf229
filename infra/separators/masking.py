"""Spleeter over a stream: windows of 512 frames, ratio masks, cross-faded where they meet.

The network sees 512 frames (11.9 s) and 1024 bins (to 11 kHz) at a time. Windows start
every 384 frames counted from the song's first sample, whatever the blocks it came in, and
their masks fade into each other over the 128 frames (3 s) they share, which costs a third
more than Spleeter's own abutting windows and makes no step where they meet. Above 11 kHz
the mask goes on as the share of power in the 1.4 kHz below (``_EDGE``), or sibilants would
be cut off; Spleeter's own choices are nothing at all or the mean over all bins
("mask_extension").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain.audio import Cancelled
from infra.separators import Request
from infra.separators.framing import BINS, FRAME, HOP, LEAD, Synthesis, frames_for, spectra
from infra.separators.rhythm import Rhythm
from infra.separators.unet import UNet, load_networks

WINDOW, STEP = 512, 384  # frames
_SHARED = WINDOW - STEP
_WINDOW_SAMPLES = (WINDOW - 1) * HOP + FRAME
_NET_BINS = 1024
_EDGE = 128  # bins below 11 kHz whose share of power stands for all above
_TINY = 1e-10  # Spleeter's: a bin where both networks say nothing is shared equally


class Spleeter:
    """The network in memory. Estimates vocals, with ``band`` drums and bass as well.

    Runs on CUDA where torch sees it. Threads are torch's (OMP_NUM_THREADS).
    """

    def __init__(self, *, band: bool) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._networks = _shared_networks(self._device)
        self._band = band

    def start(self, request: Request, cancelled: Callable[[], bool]) -> SpleeterRun:  # noqa: ARG002
        """A new song at 44.1 kHz stereo; ``cancelled`` is asked before every window."""
        rhythm = Rhythm(self._device) if self._band else None
        return SpleeterRun(self._networks, rhythm, self._device, cancelled)


@lru_cache(maxsize=1)
def _shared_networks(device: torch.device) -> tuple[UNet, UNet]:
    """Both models use the same weights: 79 MB once."""
    return load_networks(device)


class SpleeterRun:
    """One song: buffers one window of samples and 128 frames of masks, no more."""

    def __init__(
        self,
        networks: tuple[UNet, UNet],
        rhythm: Rhythm | None,
        device: torch.device,
        cancelled: Callable[[], bool],
    ) -> None:
        self._networks, self._rhythm = networks, rhythm
        self._device, self._cancelled = device, cancelled
        self._stems = 3 if rhythm else 1
        self._synthesis = Synthesis(self._stems, device)
        self._buffer = [torch.zeros(2, LEAD)]
        self._buffered = LEAD
        self._samples = self._emitted = self._frames = 0
        self._last_mask: Tensor | None = None
        self._fade = torch.linspace(0, 1, _SHARED + 2, device=device)[1:-1, None]

    @torch.inference_mode()
    def push(self, mix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes (2, n); the estimates that are final, (stems, 2, m)."""
        self._samples += mix.shape[1]
        self._put(torch.from_numpy(np.array(mix, dtype=np.float32)))
        out = []
        while self._buffered >= _WINDOW_SAMPLES:
            out.append(self._advance(STEP))
        return self._joined(out)

    @torch.inference_mode()
    def finish(self) -> NDArray[np.float32]:
        """The rest, so that estimates are exactly as long as what was pushed."""
        total, out = frames_for(self._samples), []
        while self._frames < total:
            self._put(torch.zeros(2, max(0, _WINDOW_SAMPLES - self._buffered)))
            out.append(self._advance(min(STEP, total - self._frames)))
        if self._rhythm and total:
            out.append(self._synthesis.push(self._rhythm.finish()))
        return self._joined(out)

    def _put(self, samples: Tensor) -> None:
        self._buffer.append(samples)
        self._buffered += samples.shape[1]

    def _advance(self, count: int) -> Tensor:
        """Runs the window at the buffer's start; samples of its first ``count`` frames."""
        if self._cancelled():
            raise Cancelled
        buffer = torch.cat(self._buffer, 1)
        spectrum = spectra(buffer[:, :_WINDOW_SAMPLES].to(self._device))
        self._buffer = [buffer[:, STEP * HOP :].clone()]
        self._buffered = self._buffer[0].shape[1]
        magnitudes = spectrum.abs()
        mask = self._faded(self._vocal_mask(magnitudes))
        mask = _extended(mask[:, :count], magnitudes[:, :count])
        mix, vocals = spectrum[:, :count], spectrum[:, :count] * mask
        self._frames += count
        if self._rhythm:
            return self._synthesis.push(self._rhythm.push(vocals, mix - vocals))
        return self._synthesis.push(vocals[None])

    def _vocal_mask(self, magnitudes: Tensor) -> Tensor:
        """(2, 512, 1024) between 0 and 1: the vocals' share of the power."""
        seen = magnitudes[None, :, :, :_NET_BINS].contiguous(memory_format=torch.channels_last)
        vocals, band = (network(seen)[0].square() for network in self._networks)
        mask: Tensor = (vocals + _TINY / 2) / (vocals + band + _TINY)
        return mask

    def _faded(self, mask: Tensor) -> Tensor:
        if self._last_mask is not None:
            mask[:, :_SHARED] = torch.lerp(self._last_mask, mask[:, :_SHARED], self._fade)
        self._last_mask = mask[:, STEP:].clone()
        return mask

    def _joined(self, out: list[Tensor]) -> NDArray[np.float32]:
        """Cut at the song's end: the last frames reach beyond it."""
        joined = torch.cat([torch.zeros(self._stems, 2, 0, device=self._device), *out], 2)
        joined = joined[:, :, : self._samples - self._emitted]
        self._emitted += joined.shape[2]
        return joined.cpu().numpy()


def _extended(mask: Tensor, magnitudes: Tensor) -> Tensor:
    power = magnitudes[..., _NET_BINS - _EDGE : _NET_BINS].square()
    share = (mask[..., -_EDGE:] * power).sum(-1, keepdim=True)
    top = share / (power.sum(-1, keepdim=True) + _TINY)
    return torch.cat((mask, top.expand(*mask.shape[:2], BINS - _NET_BINS)), -1)
