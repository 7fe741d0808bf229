"""What tests of separators share: songs, cuts of them, and stems joined again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from infra.separators import Request, Separator

Block = NDArray[np.float32]


def noise(samples: int, channels: int = 2, seed: int = 7) -> Block:
    """Noise at -14 dB, (channels, samples)."""
    made: Block = np.random.default_rng(seed).standard_normal((channels, samples), np.float32)
    return made * np.float32(0.2)


def cut(song: Block, *sizes: int) -> Iterator[Block]:
    """The song in chunks of those sizes, over and over."""
    at = 0
    for size in cycle(sizes):
        if at >= song.shape[1]:
            return
        yield song[:, at : at + size]
        at += size


def stems_of(
    separator: Separator,
    song: Block,
    rate: int,
    *sizes: int,
    prompt: str | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Block]:
    """All stems, joined; their sum is the song and progress only grows, up to 1."""
    channels, samples = song.shape
    told: list[float] = []
    request = Request(rate, channels, samples, prompt=prompt)
    blocks = list(
        separator.separate(cut(song, *(sizes or (50_000,))), request, told.append, cancelled)
    )
    assert told == sorted(told)
    assert told[-1] == 1.0
    stems = {
        name: np.concatenate([block[name] for block in blocks], axis=1)
        for name in separator.capabilities.stems
    }
    for stem in stems.values():
        assert stem.shape == song.shape
        assert stem.dtype == np.float32
    assert np.abs(np.sum(list(stems.values()), axis=0) - song).max() < 1e-6
    return stems
