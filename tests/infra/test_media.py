"""ffmpeg in and out: exact lengths, honest facts, and files that try to reach others."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from domain.audio import Audio
from domain.errors import MediaError
from infra import media
from tests.infra.media_files import decoded, ffmpeg, float_wav, measured, noise, refused, tone


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_measures_what_is_there(tmp_path: Path, rate: int, channels: int) -> None:
    found = measured(tone(tmp_path / "a.wav", rate=rate, channels=channels, n=12345))
    assert found.audio == Audio(12345, rate, 1 if channels == 1 else 2)
    assert (found.container, found.codec, found.damaged) == ("wav", "pcm_s16le", False)


def test_surround_is_mixed_as_ffmpeg_does(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav", channels=6, n=5000)
    ours = decoded(source, Audio(5000, 44100, 2))
    ffmpeg("-i", source, "-ac", "2", "-f", "f32le", tmp_path / "theirs")
    theirs = np.fromfile(tmp_path / "theirs", "<f4").reshape(-1, 2).T
    assert np.abs(ours - theirs).max() < 1e-4


def test_first_audio_stream_of_a_video(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1")
    ffmpeg(*picture, *sound, "-c:a", "aac", video)
    found = measured(video)
    # Older ffmpegs do not drop the padding of AAC's last frame.
    assert 48000 <= found.audio.samples < 48000 + 1024
    assert (found.audio.rate, found.audio.channels) == (48000, 1)
    assert (found.container, found.codec) == ("mov,mp4,m4a,3gp,3g2,mj2", "aac")
    ffmpeg(*picture, tmp_path / "silent.mp4")
    assert refused(tmp_path / "silent.mp4").code == "no_audio"


def test_rate_changing_midway_gives_one_rate(tmp_path: Path) -> None:
    parts = []
    for rate in (44100, 48000):
        wav = tone(tmp_path / f"{rate}.wav", rate=rate, n=rate)
        ffmpeg(
            "-i",
            wav,
            "-b:a",
            "128k",
            "-write_xing",
            "0",
            "-id3v2_version",
            "0",
            tmp_path / f"{rate}.mp3",
        )
        parts.append((tmp_path / f"{rate}.mp3").read_bytes())
    (tmp_path / "both.mp3").write_bytes(b"".join(parts))
    audio = measured(tmp_path / "both.mp3").audio
    assert audio.rate in (44100, 48000)  # the first that ffmpeg's probing settles on
    assert abs(audio.seconds - 2) < 0.15
    assert decoded(tmp_path / "both.mp3", audio).shape == (2, audio.samples)


def test_wav_header_that_lies_about_its_length(tmp_path: Path) -> None:
    data = bytearray(tone(tmp_path / "a.wav", n=10000).read_bytes())
    for claimed in (0, 0x7FFFFFF0, 0xFFFFFFFF):
        data[40:44] = struct.pack("<I", claimed)
        (tmp_path / "b.wav").write_bytes(data)
        assert measured(tmp_path / "b.wav").audio == Audio(10000, 44100, 2)


@pytest.mark.parametrize("rate", [1, 900, 4_000_000_000])
def test_absurd_rates_are_refused(tmp_path: Path, rate: int) -> None:
    data = bytearray(tone(tmp_path / "a.wav", n=10000).read_bytes())
    data[24:28] = struct.pack("<I", rate)
    (tmp_path / "b.wav").write_bytes(data)
    with pytest.raises(MediaError) as caught:
        measured(tmp_path / "b.wav")
    assert caught.value.code == "media_unreadable"


def test_truncated_mp3_gives_what_is_left(tmp_path: Path) -> None:
    ffmpeg("-i", tone(tmp_path / "a.wav", n=441000), "-b:a", "128k", tmp_path / "a.mp3")
    data = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "b.mp3").write_bytes(data[: len(data) // 2])
    audio = measured(tmp_path / "b.mp3").audio
    assert 4.5 < audio.seconds < 5.5
    assert decoded(tmp_path / "b.mp3", audio).shape == (2, audio.samples)


def test_noise_in_the_middle_does_not_stop_decoding(tmp_path: Path) -> None:
    ffmpeg("-i", tone(tmp_path / "a.wav", n=441000), "-b:a", "128k", tmp_path / "a.mp3")
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    data[60000:70000] = np.random.default_rng(2).bytes(10000)
    (tmp_path / "b.mp3").write_bytes(data)
    assert measured(tmp_path / "b.mp3").audio.seconds > 8


def test_too_long_stops_early(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        measured(tone(tmp_path / "a.wav", rate=8000, n=8000 * 30), max_seconds=2)
    assert caught.value.code == "media_too_long"
    assert measured(tmp_path / "a.wav", max_seconds=30).audio.samples == 240000


def test_another_length_than_was_measured_is_refused(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav", n=44100 * 5)
    for claimed in (44100, 44100 * 5 - 1, 44100 * 5 + 1, 44100 * 9):
        with pytest.raises(MediaError) as caught:
            decoded(source, Audio(claimed, 44100, 2))
        assert caught.value.code == "ffmpeg_failed"


def test_blocks_carry_only_sound(tmp_path: Path) -> None:
    wild = np.array([[np.nan, -np.inf, 0.5], [np.inf, 1e30, -1.5]], "f4")
    source = float_wav(tmp_path / "a.wav", wild)
    found = measured(source)
    blocks = list(media.blocks(source, audio=found.audio, timeout=20, block=2))
    assert [b.shape for b in blocks] == [(2, 2), (2, 1)]
    joined = np.concatenate(blocks, 1)
    assert joined.tolist() == [[0, 0, 0.5], [0, 1000, -1.5]]
    mono = joined.mean(0)
    assert found.mean == pytest.approx(mono.mean())
    assert found.deviation == pytest.approx(mono.std(ddof=1))


@pytest.mark.parametrize("channels", [1, 2])
def test_statistics_are_those_of_the_whole_song(tmp_path: Path, channels: int) -> None:
    """What demucs normalises by: mean and std of the mono mix, as torch gives them."""
    x = noise(channels, 200_001) + np.float32(0.25)
    x[:, 150_000:] *= 3
    found = measured(float_wav(tmp_path / "a.wav", x))
    mono = torch.from_numpy(x).double().mean(0)
    assert found.mean == pytest.approx(float(mono.mean()), rel=1e-12)
    assert found.deviation == pytest.approx(float(mono.std()), rel=1e-12)
    one = measured(float_wav(tmp_path / "b.wav", x[:, :1]))
    assert one.deviation == 0


def test_blocks_are_the_same_whatever_their_size(tmp_path: Path) -> None:
    source = float_wav(tmp_path / "a.wav", noise(2, 30_000))
    for size in (1000, 7777, 30_000, 65_536):
        assert np.array_equal(decoded(source, Audio(30_000, 44100, 2), size), noise(2, 30_000))


def test_tags_of_any_size_are_no_sound(tmp_path: Path) -> None:
    words = ("-metadata", "title=" + "la " * 9000, "-metadata", "comment=" + "x" * 9000)
    ffmpeg("-i", tone(tmp_path / "a.wav", n=5000), *words, tmp_path / "a.flac")
    assert measured(tmp_path / "a.flac").audio.samples == 5000
