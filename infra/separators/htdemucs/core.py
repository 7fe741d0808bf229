"""HTDemucs over a stream: overlapping segments with triangular weights, in bounded memory.

The same mathematics as ``demucs.apply.apply_model(shifts=0, split=True, overlap=0.25)`` on the
whole song normalised as ``demucs.api.Separator`` does: segments of the model's own length (7.8 s)
start every three quarters of it, a short one at the end is put in the middle of a window with
what precedes it, and estimates that overlap are weighted by triangles. One thing differs:
demucs adds the song's mean back to every source, here it stays in the last stem, with the rest
of the remainder (a song has one direct current, not four).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor

from domain.audio import Cancelled
from domain.errors import ModelError
from infra.separators import Request
from infra.separators.htdemucs import checkpoint
from infra.separators.htdemucs.network import Network, supports
from infra.separators.htdemucs.package import Package

Infer = Callable[[Tensor], Tensor]
"""(n, 2, segment) on the CPU to (n, sources, 2, segment) on the CPU."""

_EPSILON = 1e-8  # demucs' own: silence has no deviation
_CPU_FULL = "can't allocate memory"


class Member(Struct, frozen=True):
    """A model of a bag. rows: which estimates it adds to; shares: how much of each, 0 to 1."""

    infer: Infer
    rows: list[int]
    shares: list[float]


class HTDemucs:
    """The models in memory; a ``streaming.Core``. Any number of songs may run at once."""

    def __init__(self, members: Sequence[Member], estimates: int, segment: int, batch: int) -> None:
        """estimates: stems but the last; segment: samples; batch: segments at a time."""
        self.members, self.estimates = members, estimates
        self.segment, self.stride = segment, int(0.75 * segment)
        self.batch = batch
        half = segment // 2
        rising, falling = torch.arange(1, half + 1), torch.arange(segment - half, 0, -1)
        self.weights = torch.cat((rising, falling)).float()
        self.weights /= self.weights.max()

    def start(self, request: Request, cancelled: Callable[[], bool]) -> HTDemucsRun:
        """A new song at 44.1 kHz stereo; ``cancelled`` is asked before every model's batch."""
        return HTDemucsRun(self, request, cancelled)


class HTDemucsRun:
    """One song: holds one segment of estimates and, of the song, a segment and a half per batch."""

    def __init__(self, core: HTDemucs, request: Request, cancelled: Callable[[], bool]) -> None:
        self._core, self._cancelled = core, cancelled
        self._mean, self._scale = request.mean, request.deviation + _EPSILON
        self._batch = core.batch
        self._held = [torch.zeros(2, 0)]
        self._from = self._samples = 0  # the first sample held, and how many have come
        self._offset = 0  # where the next segment starts
        self._sum = torch.zeros(core.estimates, 2, core.segment)
        self._weight = torch.zeros(core.segment)

    @torch.inference_mode()
    def push(self, mix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes (2, n); the estimates that are final, (stems - 1, 2, m)."""
        self._held.append((torch.from_numpy(np.array(mix, np.float32)) - self._mean) / self._scale)
        self._samples += mix.shape[1]
        out: list[Tensor] = []
        while self._samples >= self._offset + self._span(self._batch):
            out += self._advance(self._batch, self._core.segment)
        return self._joined(out)

    @torch.inference_mode()
    def finish(self) -> NDArray[np.float32]:
        """The rest, so that estimates are exactly as long as what was pushed."""
        out: list[Tensor] = []
        while self._offset < self._samples:
            left = self._samples - self._offset
            full = max(0, (left - self._core.segment) // self._core.stride + 1)
            out += self._advance(min(full, self._batch) or 1, min(left, self._core.segment))
        return self._joined(out)

    def _span(self, segments: int) -> int:
        return (segments - 1) * self._core.stride + self._core.segment

    def _advance(self, count: int, length: int) -> Iterator[Tensor]:
        """Runs the next ``count`` segments, each ``length`` long; what is final after each."""
        core = self._core
        context = (core.segment - length) // 2
        windows = torch.stack(
            [self._window(self._offset + i * core.stride - context) for i in range(count)]
        )
        self._forget(self._offset + count * core.stride - core.segment // 2)
        for estimates in self._estimates(windows):
            self._sum[..., :length] += (
                core.weights[:length] * estimates[..., context : context + length]
            )
            self._weight[:length] += core.weights[:length]
            yield self._final(min(core.stride, self._samples - self._offset))

    def _final(self, ready: int) -> Tensor:
        done = self._sum[..., :ready] / self._weight[:ready] * self._scale
        self._sum, self._weight = (
            torch.nn.functional.pad(each[..., self._core.stride :], (0, self._core.stride))
            for each in (self._sum, self._weight)
        )
        self._offset += self._core.stride
        return done

    def _window(self, start: int) -> Tensor:
        """A segment of the song from ``start``, zeros before and after the song: (2, segment)."""
        if len(self._held) > 1:
            self._held = [torch.cat(self._held, 1)]
        end = start + self._core.segment
        first, last = max(start, 0), min(end, self._samples)
        piece = self._held[0][:, first - self._from : last - self._from]
        return torch.nn.functional.pad(piece, (first - start, end - last))

    def _forget(self, before: int) -> None:
        drop = min(max(0, before - self._from), self._samples - self._from)
        self._held = [self._held[0][:, drop:].clone()]
        self._from += drop

    def _estimates(self, windows: Tensor) -> Tensor:
        """(n, estimates, 2, segment) of all models together."""
        core, total = self._core, None
        for member in core.members:
            if self._cancelled():
                raise Cancelled
            part = self._inferred(member.infer, windows)
            if not torch.isfinite(part.sum()):
                raise ModelError(
                    "model_failed",
                    "The model gave something that is not a number. Check its weights with "
                    "`splitsound models check`; if they are genuine, report the song.",
                )
            if len(core.members) == 1:
                return part
            if total is None:
                total = windows.new_zeros(len(windows), core.estimates, 2, core.segment)
            for row, share, estimate in zip(
                member.rows, member.shares, part.unbind(1), strict=True
            ):
                total[:, row].add_(estimate, alpha=share)
        assert total is not None
        return total

    def _inferred(self, infer: Infer, windows: Tensor) -> Tensor:
        """Halves the batch where memory is short, for the rest of the song as well."""
        try:
            return infer(windows)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _memory_is_full(error):
                raise
            if len(windows) == 1:
                raise ModelError(
                    "model_out_of_memory",
                    f"{self._core.segment} samples at a time do not fit in the memory that other "
                    "jobs leave. Run fewer jobs per worker, or workers with more memory.",
                    transient=True,  # one segment always takes the same: others hold the memory
                ) from error
        self._batch = len(windows) // 2
        parts = torch.split(windows, self._batch)
        return torch.cat([self._inferred(infer, part) for part in parts])

    def _joined(self, out: list[Tensor]) -> NDArray[np.float32]:
        joined = torch.cat([torch.zeros(self._core.estimates, 2, 0), *out], 2)
        array: NDArray[np.float32] = joined.numpy()
        return array


def load(files: Sequence[Path], stems: Sequence[str], device: torch.device) -> HTDemucs:
    """The core of those checkpoint files for those stems, on ``device``.

    Raises ModelError ``model_unavailable``, see ``checkpoint.read``; also where the stems are not
    the checkpoint's sources.
    """
    bag = checkpoint.read(files)
    if sorted(stems) != sorted(bag.sources):
        raise ModelError(
            "model_unavailable",
            f"{files[0].name} separates into {', '.join(bag.sources)}; the model store says "
            f"{', '.join(stems)}. Correct the stems there.",
        )
    wanted = [bag.sources.index(stem) for stem in stems[:-1]]
    segment = int(bag.models[0].segment * bag.models[0].samplerate)
    members = list(_members(bag, wanted, device))
    batch = Package.batch(device) if device.type == "cuda" else 1
    return HTDemucs(members, len(wanted), segment, batch)


def _members(bag: checkpoint.Bag, wanted: list[int], device: torch.device) -> Iterator[Member]:
    """The models that add to a wanted source, each for those that it adds to.

    Of a bag with a model per source, the model of the last stem never runs.
    """
    totals = [sum(weights) for weights in zip(*bag.weights, strict=True)]
    for model, weights in zip(bag.models, bag.weights, strict=True):
        rows = [row for row, source in enumerate(wanted) if weights[source]]
        kept = [wanted[row] for row in rows]
        if kept:
            yield Member(_infer(model, kept, device), rows, [weights[s] / totals[s] for s in kept])


def _infer(model: Any, kept: list[int], device: torch.device) -> Infer:
    if device.type == "cpu" and supports(model):
        return Network(model, kept)
    return Package(model, kept, device)


def _memory_is_full(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _CPU_FULL in str(error)
