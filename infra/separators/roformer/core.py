"""Overlapping chunks of a stream, faded into each other: the result of the whole file at once.

Chunks, padding and windows are those of Music-Source-Separation-Training's ``demix``
(https://github.com/ZFTurbo), which reads the whole song: the song is mirrored at both ends by
what the chunks overlap, chunk i starts at i * step, fades in and out linearly over a tenth of
its length (the first and last not at their ends), and every sample is the weighted mean of the
chunks over it. Memory is that of three chunks, whatever the song's length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from infra.separators import Request
from infra.separators.roformer.config import Config
from infra.separators.roformer.network import Network

# Of a window's end: where no other chunk reaches, the chunk's own value counts, not silence.
_LEAST = 1e-6


class RoFormer:
    """The network as a ``streaming.Core``."""

    def __init__(self, network: Network, config: Config) -> None:
        self._network, self._config = network, config

    def start(self, request: Request, cancelled: Callable[[], bool]) -> RoFormerRun:  # noqa: ARG002
        """A new song at the network's rate; ``cancelled`` is asked before every batch."""
        return RoFormerRun(self._network, self._config.chunk, self._config.step, cancelled)


class RoFormerRun:
    """One song: at most a batch of chunks, and the sums over the chunk that is open."""

    def __init__(
        self, network: Network, chunk: int, step: int, cancelled: Callable[[], bool]
    ) -> None:
        self._network, self._cancelled = network, cancelled
        self._chunk, self._step = chunk, step
        self._border = chunk - step
        self._mirrored = False
        self._held: list[Tensor] = []  # from the start of the next chunk on
        self._length = self._pushed = 0
        self._skip = self._given = 0
        self._first = True
        # Over the chunk that is open: estimates times windows, and windows.
        self._sums = torch.zeros(network.stems, 2, chunk)
        self._weights = torch.zeros(chunk)
        self._fade = chunk // 10
        self._window = _window(chunk, self._fade)

    @torch.inference_mode()
    def push(self, mix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes (2, n); the estimates that are final, (stems, 2, m)."""
        self._put(torch.from_numpy(np.array(mix, dtype=np.float32)))
        self._pushed += mix.shape[1]
        # Only a song that is longer than both mirrored ends together has them.
        if not self._mirrored and self._length > 2 * self._border:
            self._mirror_start()
        if not self._mirrored:
            return self._given_out([])
        out = []
        # One sample more than the chunks need: then they are not the last, and the end can
        # still be mirrored.
        while self._length > self._chunk + (self._network.batch - 1) * self._step:
            out += self._chunks(self._network.batch)
        return self._given_out(out)

    @torch.inference_mode()
    def finish(self) -> NDArray[np.float32]:
        """The rest, so that estimates are exactly as long as what was pushed."""
        if self._mirrored:
            self._put(self._joined()[:, -self._border - 1 : -1].flip(1))
        out = []
        while self._length > 0:
            left = -(-self._length // self._step)
            out += self._chunks(min(left, self._network.batch))
        return self._given_out(out)

    def _mirror_start(self) -> None:
        song = self._joined()
        self._held = [song[:, 1 : self._border + 1].flip(1), song]
        self._length += self._border
        self._skip = self._border
        self._mirrored = True

    def _put(self, samples: Tensor) -> None:
        self._held.append(samples)
        self._length += samples.shape[1]

    def _joined(self) -> Tensor:
        self._held = [torch.cat(self._held, 1)]
        return self._held[0]

    def _chunks(self, count: int) -> list[Tensor]:
        """Runs the next chunks; the samples that no later one touches."""
        mix = self._joined()
        starts = [at * self._step for at in range(count)]
        pieces = [mix[:, start : start + self._chunk] for start in starts]
        estimates = self._network.estimate(
            torch.stack([_filled(piece, self._chunk) for piece in pieces]), self._cancelled
        )
        out = []
        for start, estimate in zip(starts, estimates, strict=True):
            out.append(self._add(estimate, self._length - start))
        rest = mix[:, count * self._step :].clone()
        self._held, self._length = [rest], rest.shape[1]
        return out

    def _add(self, estimate: Tensor, left: int) -> Tensor:
        """Adds a chunk that has ``left`` samples to the song's end; what it makes final."""
        window = self._window.clone()
        if self._first:
            window[: self._fade] = 1
        if left <= self._step:
            window[self._chunk - self._fade :] = 1
        self._first = False
        self._sums += estimate * window
        self._weights += window
        done = self._sums[..., : self._step] / self._weights[: self._step]
        self._sums = pad(self._sums[..., self._step :], (0, self._step))
        self._weights = pad(self._weights[self._step :], (0, self._step))
        return done[..., :left]

    def _given_out(self, out: list[Tensor]) -> NDArray[np.float32]:
        """Without the mirrored ends."""
        joined = torch.cat([self._sums[..., :0], *out], 2)
        skipped = min(self._skip, joined.shape[2])
        self._skip -= skipped
        joined = joined[..., skipped : skipped + self._pushed - self._given]
        self._given += joined.shape[2]
        return joined.numpy()


def _window(chunk: int, fade: int) -> Tensor:
    window = torch.ones(chunk)
    if fade:
        window[:fade] = torch.linspace(0, 1, fade)
        window[-fade:] = torch.linspace(1, 0, fade)
    return window.clamp(min=_LEAST)


def _filled(piece: Tensor, chunk: int) -> Tensor:
    """A last piece as long as a chunk: mirrored while that suffices, else with zeros."""
    length = piece.shape[1]
    mode = "reflect" if length > chunk // 2 else "constant"
    return pad(piece, (0, chunk - length), mode=mode)
