"""Reading spools back, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_BYTES = 4  # float32
BLOCK = 1 << 16

# 60 dB over full scale. Float files can carry infinities and 1e38, which squared spectra
# turn into NaN for seconds around; no recording is this loud.
LOUDEST = 1000.0


def read_blocks(path: Path, channels: int, block: int = BLOCK) -> Iterator[NDArray[np.float32]]:
    """Blocks of shape (channels, n), n <= ``block`` samples, n > 0, in order.

    Values that are no sound (NaN, infinite) come as 0 and absurd ones are limited to
    +-1000, so that what is called the mix is the same for every reader.
    Raises ValueError when the file is not a whole number of frames.
    """
    frame = channels * SAMPLE_BYTES
    with path.open("rb", buffering=0) as file:
        while data := file.read(block * frame):
            while len(data) % frame and (more := file.read(frame - len(data) % frame)):
                data += more
            if len(data) % frame:
                raise ValueError(f"{path.name} ends inside a frame of {channels} channels")
            flat = np.frombuffer(data, dtype="<f4").reshape(-1, channels)
            yield _sane(np.ascontiguousarray(flat.T, dtype=np.float32))


def _sane(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    if np.abs(samples).max(initial=0.0) <= LOUDEST:  # false for NaN too
        return samples
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -LOUDEST, LOUDEST)
