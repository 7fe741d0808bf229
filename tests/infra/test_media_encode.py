"""From samples to files: exact lengths, exact samples where the format has them, same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from domain.audio import FORMATS, Audio, Format
from infra import media
from infra.media.sound import Block
from tests.infra.media_files import decoded, encoded, measured, noise

LOSSY = ("mp3", "aac", "opus", "preview")


def named(name: str) -> Format:
    return FORMATS.get(name, media.PREVIEW)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", [*FORMATS, "preview"])
def test_round_trip_is_exact_in_length(tmp_path: Path, rate: int, channels: int, name: str) -> None:
    # 17 samples past a whole MP3 frame: where ffmpeg's own gapless header is wrong.
    n = 1152 * 20 + 17
    x = noise(channels, n)
    target = encoded(tmp_path / "o", Audio(n, rate, channels), named(name), x)
    found = measured(target)
    made = 48_000 if name == "opus" else rate
    assert found.audio == Audio(-(-n * made // rate), made, channels)
    y = decoded(target, found.audio)
    if name in LOSSY and made == rate:
        # aligned to the sample: no other lag fits better
        lags = [float((np.roll(y, k, 1)[:, 64:-64] * x[:, 64:-64]).sum()) for k in range(-3, 4)]
        assert int(np.argmax(lags)) == 3
    elif name not in LOSSY:
        step = {"wav16": 2.0**-15, "wav32f": 0.0}.get(name, 2.0**-23)
        assert np.abs(y - x).max() <= step / 2


@pytest.mark.parametrize("rate", [1000, 65_537, 96_000, 655_350, 768_000])
@pytest.mark.parametrize("name", ["wav", "wav32f", "opus", "preview"])
def test_odd_rates(tmp_path: Path, rate: int, name: str) -> None:
    audio = Audio(12_345, rate, 2)
    found = measured(encoded(tmp_path / "o", audio, named(name), noise(2, 12_345))).audio
    made = found.rate if name in LOSSY else rate
    assert made == {"opus": 48_000, "preview": 48_000}.get(name, rate)
    assert found == Audio(-(-12_345 * made // rate), made, 2)


@pytest.mark.parametrize("n", [1, 100, 1152])
@pytest.mark.parametrize("name", [*FORMATS, "preview"])
def test_very_short_songs_survive(tmp_path: Path, n: int, name: str) -> None:
    audio = Audio(n, 48_000, 2)
    target = encoded(tmp_path / "o", audio, named(name), np.ones((2, n), np.float32))
    assert measured(target).audio == audio


@pytest.mark.parametrize("name", [*FORMATS, "preview"])
def test_the_same_samples_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    audio, x = Audio(50_000, 44_100, 2), noise(2, 50_000)
    once = encoded(tmp_path / "a", audio, named(name), x, block=7000).read_bytes()
    again = encoded(tmp_path / "b", audio, named(name), x, block=50_000).read_bytes()
    assert once == again


def test_resampling_keeps_the_sound(tmp_path: Path) -> None:
    """A sine at 48 kHz and the same one from 44.1 kHz agree within what Opus does to both."""
    sines = {
        rate: np.sin(2 * np.pi * 997 / rate * np.arange(rate)).astype("f4")[None] * np.float32(0.5)
        for rate in (44_100, 48_000)
    }
    heard = [
        decoded(
            encoded(tmp_path / "o", Audio(r, r, 1), FORMATS["opus"], x), Audio(48_000, 48_000, 1)
        )
        for r, x in sines.items()
    ]
    apart = heard[0][:, 1000:-1000] - heard[1][:, 1000:-1000]
    assert np.abs(apart).max() < 0.02


def test_samples_beyond_full_scale_are_limited_not_wrapped(tmp_path: Path) -> None:
    audio = Audio(100, 44100, 2)
    loud: Block = np.tile(np.array([[1.5], [-1.5]], "f4"), 100)
    for name, near in (("wav", 1e-6), ("flac", 1e-6), ("wav16", 1e-4)):
        back = decoded(encoded(tmp_path / "o", audio, FORMATS[name], loud), audio)
        assert np.allclose(back, np.sign(loud), atol=near)
    back = decoded(encoded(tmp_path / "o", audio, FORMATS["wav32f"], loud), audio)
    assert np.array_equal(back, loud)


def test_silence_stays_silence(tmp_path: Path) -> None:
    audio, silent = Audio(5000, 44100, 2), np.zeros((2, 5000), np.float32)
    for name in ("flac", "wav", "wav16", "wav32f"):
        assert not decoded(encoded(tmp_path / "o", audio, FORMATS[name], silent), audio).any()


def test_fewer_samples_than_announced_are_noticed(tmp_path: Path) -> None:
    target = tmp_path / "o.flac"
    with media.Encoder(target, Audio(100, 44100, 2), FORMATS["flac"], timeout=20) as encoder:
        encoder.write(noise(2, 99))
        with pytest.raises(ValueError, match="99 samples came"):
            encoder.finish()
    assert not target.exists()


def master(path: Path, audio: Audio, sound: Block, block: int = 10_000) -> media.Master:
    with media.Master(path, audio, timeout=20) as made:
        for start in range(0, sound.shape[1], block):
            made.write(sound[:, start : start + block])
        made.finish()
    return made


@pytest.mark.parametrize("n", [1, 65_536, 200_000])
def test_a_master_within_full_scale_is_the_flac_to_deliver(tmp_path: Path, n: int) -> None:
    audio, x = Audio(n, 44_100, 2), noise(2, n)
    made = master(tmp_path / "m", audio, x)
    assert made.plain
    assert made.peak == np.abs(x).max()
    flac = encoded(tmp_path / "f", audio, FORMATS["flac"], x)
    assert (tmp_path / "m").read_bytes() == flac.read_bytes()
    back = np.concatenate(list(made.blocks(timeout=20)), 1)
    assert np.abs(back - x).max() <= 2.0**-24


def test_a_master_over_full_scale_loses_nothing(tmp_path: Path) -> None:
    """Only the loud blocks give up low bits, one for each 6 dB."""
    x = noise(2, 65_536 * 5 + 99)
    x[:, 70_000:80_000] *= 30
    x[:, 150_000] = 900
    made = master(tmp_path / "m", Audio(x.shape[1], 44_100, 2), x)
    assert not made.plain
    assert made.peak == 900
    back = np.concatenate(list(made.blocks(timeout=20)), 1)
    halvings = {1: 5, 2: 10}
    for block in range(6):
        part = np.s_[:, block * 65_536 : (block + 1) * 65_536]
        loudest = np.abs(x[part]).max()
        step = 2.0 ** (max(0, np.ceil(np.log2(loudest))) - 23)
        assert np.abs(back[part] - x[part]).max() <= step / 2
        assert (loudest > 1) == (block in halvings)


def test_a_master_at_a_rate_that_flac_lacks(tmp_path: Path) -> None:
    for rate in (65_537, 655_360, 768_000):
        x = noise(1, 70_000)
        made = master(tmp_path / "m", Audio(70_000, rate, 1), x)
        assert not made.plain, "the file says another rate"
        assert np.abs(np.concatenate(list(made.blocks(timeout=20)), 1) - x).max() <= 2.0**-24
    for rate in (1000, 44_100, 192_000, 655_350):
        made = master(tmp_path / "m", Audio(1000, rate, 1), noise(1, 1000))
        assert made.plain
        assert measured(tmp_path / "m").audio.rate == rate


def test_a_master_takes_what_is_no_sound_for_silence(tmp_path: Path) -> None:
    x = np.array([[0.5, np.nan, np.inf, -0.25]], "f4")
    made = master(tmp_path / "m", Audio(4, 44_100, 1), x)
    assert np.concatenate(list(made.blocks(timeout=20)), 1).tolist() == [[0.5, 0, 0, -0.25]]
    assert made.peak == 0.5
