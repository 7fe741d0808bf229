"""The demo song: the same every time, known stems, nothing clipped, a voice that is one."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from infra import demo_song
from tests.metrics import energy_db, sdr, si_sdr


def test_stems_add_up_and_never_clip() -> None:
    stems = demo_song.make(6.0)
    assert tuple(stems) == demo_song.STEMS
    for stem in stems.values():
        assert stem.shape == (2, 6 * demo_song.RATE)
        assert stem.dtype == np.float32
        assert energy_db(stem) > -40
    mix = demo_song.mix(stems)
    assert np.abs(mix).max() < 0.9
    assert np.abs(mix - sum(stems.values())).max() < 1e-6


def test_is_the_same_every_time() -> None:
    first, second = demo_song.make(2.0), demo_song.make(2.0)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0])
def test_any_length(seconds: float) -> None:
    mix = demo_song.mix(demo_song.make(seconds))
    assert mix.shape == (2, round(seconds * demo_song.RATE))
    assert np.isfinite(mix).all()


def test_writes_a_wave_file(tmp_path: Path) -> None:
    demo_song.write(tmp_path / "demo.wav", 1.0)
    with wave.open(str(tmp_path / "demo.wav")) as file:
        assert file.getparams()[:4] == (2, 2, 44100, 44100)


def test_metrics_know_their_own() -> None:
    tone = np.sin(np.arange(10000) / 7)
    noise = np.cos(np.arange(10000) / 7) * 0.1
    assert sdr(tone, tone + noise) == pytest.approx(20, abs=0.1)
    assert si_sdr(tone, 0.3 * (tone + noise)) == pytest.approx(20, abs=0.1)
    with pytest.raises(ValueError, match="silent reference"):
        sdr(np.zeros(5), tone[:5])
    with pytest.raises(ValueError, match="silent reference"):
        si_sdr(np.zeros(5), tone[:5])
