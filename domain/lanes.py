"""Which queue a job waits in: no song waits behind a long recording, no CPU worker gets a GPU's.

A recording longer than LONG_SECONDS is long.
"""

from __future__ import annotations

LONG_SECONDS = 900
SHORT, LONG, GPU_SHORT, GPU_LONG = LANES = ("short", "long", "gpu-short", "gpu-long")
GPU_LANES = (GPU_SHORT, GPU_LONG)


def lane_for(seconds: float, *, gpu: bool) -> str:
    """The queue for that much audio."""
    if seconds > LONG_SECONDS:
        return GPU_LONG if gpu else LONG
    return GPU_SHORT if gpu else SHORT
