"""The outline that players draw, against a straightforward computation on the whole array."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from domain.audio import Audio
from infra.media.sound import Block
from infra.stems.waveform import MOST_POINTS, Waveform

RATE = 8000


def sound(channels: int, n: int) -> Block:
    made = np.random.default_rng(7).standard_normal((channels, n)) * 0.4
    return made.astype(np.float32)


def plain(whole: Block, per_point: int, gain: float) -> list[int]:
    """As audiowaveform: minimum and maximum of the mono mix, in 8 bits."""
    data = []
    for at in range(0, whole.shape[1], per_point):
        mono = whole[:, at : at + per_point].mean(axis=0) * gain * 128
        data += [max(-128, min(127, round(float(x)))) for x in (mono.min(), mono.max())]
    return data


@pytest.mark.parametrize(
    ("channels", "n", "gain"),
    [(2, 10 * RATE + 77, 1.0), (1, 300, 0.5), (2, 256 * 40, 4.0), (1, 1, 1.0), (2, 1_100_000, 0.9)],
)
@pytest.mark.parametrize("size", [1000, 65_536])
def test_as_computed_at_once(channels: int, n: int, gain: float, size: int) -> None:
    whole, audio = sound(channels, n), Audio(n, RATE, channels)
    outline = Waveform(audio)
    for at in range(0, n, size):
        outline.add(whole[:, at : at + size])
    told = json.loads(outline.document(gain))
    per_point = max(256, math.ceil(n / MOST_POINTS))
    data = told.pop("data")
    assert told == {
        "version": 2, "channels": 1, "sample_rate": RATE, "samples_per_pixel": per_point,
        "bits": 8, "length": math.ceil(n / per_point),
    }  # fmt: skip
    assert told["length"] <= MOST_POINTS
    assert np.abs(np.subtract(data, plain(whole, per_point, gain))).max() <= 1  # of rounding
    assert all(type(each) is int and -128 <= each <= 127 for each in data)


def test_nothing_has_no_points() -> None:
    told = json.loads(Waveform(Audio(0, RATE, 2)).document(1.0))
    assert (told["length"], told["data"]) == (0, [])


def test_told_twice_it_is_the_same() -> None:
    outline = Waveform(Audio(1000, RATE, 1))
    outline.add(sound(1, 1000))
    assert outline.document(1.0) == outline.document(1.0)
