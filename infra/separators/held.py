"""Samples that wait for what is made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]


class Held:
    """Blocks (channels, n) in, any number of samples out, in order. Lengths are per channel."""

    def __init__(self, channels: int) -> None:
        self._held: list[Block] = []
        self._channels = channels
        self.length = self.taken = 0

    def put(self, block: Block) -> None:
        """Keeps a copy. Raises ValueError for another number of channels."""
        if block.shape[0] != self._channels:
            raise ValueError(f"a block of {block.shape[0]} channels, not {self._channels}")
        self._held.append(np.array(block))  # the caller may reuse its buffer
        self.length += block.shape[1]

    def take(self, n: int) -> Block:
        """The next ``n`` samples, which must be there."""
        joined = np.concatenate(self._held, axis=1)
        self._held = [joined[:, n:].copy()]
        self.length, self.taken = self.length - n, self.taken + n
        return joined[:, :n]
