"""HTDemucs by the ``demucs`` package's own forward pass: for CUDA, and for unusual variants.

CUDA could not be tried where this was written; what a GPU adds is kept small for that reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_BATCH_BYTES = 2 << 30  # of CUDA memory for a segment: the peak in float32, with room to spare
_MAX_BATCH = 8


class Package:
    """A function from segments to the kept sources.

    On CUDA: half precision (autocast), convolutions in channels-last order, pinned memory and
    a stream of the model's own, which all songs on it share: theirs is one order, other models'
    work goes on beside it.
    A batch with an overflow in half precision is computed again in float32.
    """

    def __init__(
        self, model: Any, kept: Sequence[int], device: torch.device, half: torch.dtype | None = None
    ) -> None:
        """half: a smaller type to compute in; float16 on CUDA and none elsewhere unless given."""
        self._model, self._kept, self._device = model.to(device), list(kept), device
        self._half = half
        self._stream: Any = None
        if device.type == "cuda":
            self._half = half or torch.float16
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._model.to(memory_format=torch.channels_last)

    @staticmethod
    def batch(device: torch.device) -> int:
        """As many segments as fit in the free memory of a CUDA device, 1 to 8."""
        free, _ = torch.cuda.mem_get_info(device)
        return int(min(_MAX_BATCH, max(1, free // _BATCH_BYTES)))

    def __call__(self, mix: Tensor) -> Tensor:
        """(n, 2, segment) to (n, kept sources, 2, segment), both on the CPU."""
        if self._half is None:
            return self._run(mix)
        with torch.autocast(self._device.type, self._half):
            out = self._run(mix)
        return out if torch.isfinite(out.sum()) else self._run(mix)

    def _run(self, mix: Tensor) -> Tensor:
        if self._stream is None:
            out: Tensor = self._model(mix)[:, self._kept]
            return out.float()
        with torch.cuda.stream(self._stream):
            there = mix.pin_memory().to(self._device, non_blocking=True)
            out = self._model(there)[:, self._kept].float()
            back = torch.empty(out.shape, pin_memory=True)
            back.copy_(out, non_blocking=True)
        self._stream.synchronize()
        return back
