"""Around a network that wants one rate and stereo: any rate, mono or stereo, exact sums.

The song is resampled to the network's rate and the estimates back; the last stem is
made at the song's own rate as the song minus the others, so nothing above the network's
band is lost and stems always add up to the mix (complaint: demucs #461).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from domain.audio import Cancelled
from domain.catalog import Model
from infra.separators import Request
from infra.separators.held import Held

NETWORK_RATE = 44_100
_CHUNK = 1 << 16  # samples at a time, at the song's or the network's rate: it bounds our memory

Block = NDArray[np.float32]


class Run(Protocol):
    """One song on its way through a core; estimates come out in order, without gaps."""

    def push(self, mix: Block) -> Block:
        """Takes (2, n) at its own rate; the estimates that are final: (stems, 2, m), m >= 0."""

    def finish(self) -> Block:
        """The remaining estimates; their total is then the total pushed."""


class Core(Protocol):
    """A model at its own rate. It estimates all stems but the last."""

    def start(self, request: Request, cancelled: Callable[[], bool]) -> Run:
        """A new song; cancelled is asked before every inference chunk."""


class Streamed:
    """A core as a ``Separator``. rate: the core's, in Hz."""

    def __init__(self, model: Model, core: Core, rate: int = NETWORK_RATE) -> None:
        self.capabilities = model
        self._core = core
        self._rate = rate

    def separate(
        self,
        chunks: Iterable[Block],
        request: Request,
        progress: Callable[[float], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[dict[str, Block]]:
        """See ``infra.separators.Separator``."""
        estimates = len(self.capabilities.stems) - 1
        started = self._core.start(request, cancelled)
        run = _AtRate(started, request.rate, self._rate, estimates)
        mix = Held(request.channels)
        step = max(1, _CHUNK * min(request.rate, self._rate) // self._rate)
        for chunk in chunks:
            for at in range(0, chunk.shape[1], step):
                if cancelled():
                    raise Cancelled
                piece = chunk[:, at : at + step]
                mix.put(piece)
                out = run.push(_stereo(piece))
                yield from self._stems(mix, out[:, :, : mix.length])
                progress(min(1.0, mix.taken / max(1, request.samples)))
        came = mix.taken + mix.length
        if came != request.samples:
            raise ValueError(f"{came} samples came, {request.samples} were announced")
        yield from self._stems(mix, _fit(run.finish(), mix.length))
        progress(1.0)

    def _stems(self, mix: Held, estimates: Block) -> Iterator[dict[str, Block]]:
        if not estimates.shape[2]:
            return
        song = mix.take(estimates.shape[2])
        if len(song) == 1:
            estimates = estimates.mean(axis=1, keepdims=True, dtype=np.float32)
        parts = [np.ascontiguousarray(e) for e in estimates]
        rest = song - np.sum(estimates, axis=0, dtype=np.float32)
        yield dict(zip(self.capabilities.stems, [*parts, rest], strict=True))


def _stereo(block: Block) -> Block:
    return block if len(block) == 2 else np.repeat(block, 2, axis=0)


def _fit(estimates: Block, length: int) -> Block:
    """Exactly ``length`` samples: rounding of the two resamplers can differ by a few."""
    short = length - estimates.shape[2]
    if short <= 0:
        return estimates[:, :, :length]
    return np.pad(estimates, ((0, 0), (0, 0), (0, short)))


class _AtRate:
    """A run at another rate. soxr removes its own delay, so indices stay aligned."""

    def __init__(self, run: Run, rate: int, network_rate: int, estimates: int) -> None:
        self._run, self._n = run, estimates
        self._same = rate == network_rate
        if not self._same:
            self._down = _resampler(rate, network_rate, 2)
            self._up = _resampler(network_rate, rate, 2 * estimates)

    def push(self, mix: Block) -> Block:
        if self._same:
            return self._run.push(mix)
        return self._raise(self._run.push(self._lower(mix, last=False)), last=False)

    def finish(self) -> Block:
        if self._same:
            return self._run.finish()
        tail = self._run.push(self._lower(np.zeros((2, 0), np.float32), last=True))
        ends = [self._raise(tail, last=False), self._raise(self._run.finish(), last=True)]
        return np.concatenate(ends, axis=2)

    def _lower(self, mix: Block, *, last: bool) -> Block:
        return np.ascontiguousarray(self._down.resample_chunk(_rows(mix), last=last).T)

    def _raise(self, estimates: Block, *, last: bool) -> Block:
        flat = estimates.reshape(2 * self._n, -1)
        raised = self._up.resample_chunk(_rows(flat), last=last)
        return np.ascontiguousarray(raised.T).reshape(self._n, 2, -1)


def _rows(block: Block) -> Block:
    return np.ascontiguousarray(block.T, dtype=np.float32)


def _resampler(source: int, target: int, channels: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(source, target, channels, dtype="float32", quality="VHQ")
