"""Measured block by block as by numpy on the whole array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from infra.media.sound import Block
from infra.stems.levels import SILENT_DB, Levels, Residual

RATE = 8000


def song(channels: int = 2, n: int = 3 * RATE + 123) -> Block:
    """Noise at rising levels, with silence in it and some samples over full scale."""
    made = np.random.default_rng(3).standard_normal((channels, n)).astype(np.float32)
    made *= np.geomspace(1e-5, 0.5, n, dtype=np.float32)
    made[:, n // 2 : n // 2 + RATE // 2] = 0
    made[0, -5:] = (2.5, -1.25, 1.0, -1.0, 1.0001)
    return made


def cut(block: Block, seed: int) -> Iterator[Block]:
    sizes, at = np.random.default_rng(seed), 0
    while at < block.shape[1]:
        n = int(sizes.choice([1, 7, 799, 800, 801, 5000]))
        yield block[:, at : at + n]
        at += n


def silence_of(whole: Block) -> float:
    windows = whole.shape[1] // (RATE // 10)
    parts = whole[:, : windows * (RATE // 10)].reshape(len(whole), windows, -1)
    rms = np.sqrt(np.square(parts, dtype=np.float64).mean(axis=(0, 2)))
    return round(float(np.mean(rms < 10 ** (SILENT_DB / 20))), 4)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_levels_of_the_whole(channels: int, seed: int) -> None:
    whole, levels = song(channels), Levels(RATE)
    for block in cut(whole, seed):
        levels.add(block)
    assert levels.peak == np.abs(whole).max() == 2.5
    assert levels.over == np.count_nonzero(np.abs(whole) > 1) >= 3
    assert levels.silence == pytest.approx(silence_of(whole), abs=1e-4)
    assert 0.3 < levels.silence < 0.9


def test_less_than_a_window_counts_as_one() -> None:
    for level, silent in ((0.0, 1.0), (0.1, 0.0)):
        levels = Levels(RATE)
        levels.add(np.full((2, 100), level, np.float32))
        assert levels.silence == silent
    assert Levels(RATE).silence == 1.0


def test_residual_of_the_whole() -> None:
    whole = song()
    rest = np.random.default_rng(4).standard_normal(whole.shape).astype(np.float32) * 1e-4
    residual = Residual()
    for block, total in zip(cut(whole, 1), cut(whole + rest, 1), strict=True):
        residual.add(block, total)
    true = 10 * np.log10(np.sum(np.square(rest, dtype=np.float64)) / np.sum(np.square(whole)))
    assert residual.decibels == pytest.approx(true, abs=0.1)


def test_residual_at_its_ends() -> None:
    nothing, exact = Residual(), Residual()
    nothing.add(np.zeros((2, 9), np.float32), np.zeros((2, 9), np.float32))
    assert nothing.decibels is None
    exact.add(song(), song())
    assert exact.decibels == -200.0
