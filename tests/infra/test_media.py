"""ffmpeg in and out: exact lengths, honest facts, and files that try to reach others."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from domain.audio import FORMATS, Audio
from domain.errors import MediaError
from infra import media
from tests.infra.media_files import ffmpeg, measured, refused, spool, tone


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_measures_what_is_there(tmp_path: Path, rate: int, channels: int) -> None:
    found = measured(tone(tmp_path / "a.wav", rate=rate, channels=channels, n=12345))
    assert found.audio == Audio(12345, rate, 1 if channels == 1 else 2)
    assert (found.container, found.codec, found.damaged) == ("wav", "pcm_s16le", False)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", ["flac", "wav", "mp3"])
def test_round_trip_is_exact_in_length(tmp_path: Path, rate: int, channels: int, name: str) -> None:
    # 17 samples past a whole MP3 frame: where ffmpeg's own gapless header is wrong.
    n = 1152 * 20 + 17
    x = (np.random.default_rng(1).standard_normal((n, channels)) * 0.1).astype("<f4")
    audio, target = Audio(n, rate, channels), tmp_path / f"o.{name}"
    media.encode(spool(tmp_path / "s", x), audio, target, FORMATS[name], gain=0.5, timeout=30)
    assert measured(target).audio == audio
    assert media.decode(target, tmp_path / "d", audio=audio, timeout=30) == audio
    y = np.concatenate(list(media.read_blocks(tmp_path / "d", channels)), 1).T
    assert y.shape == x.shape
    if name == "mp3":
        # aligned to the sample: no other lag fits better
        lags = [float((np.roll(y, k, 0)[64:-64] * x[64:-64]).sum()) for k in range(-3, 4)]
        assert int(np.argmax(lags)) == 3
    else:
        assert np.abs(y - x / 2).max() <= 2.0**-24 + 1e-9


@pytest.mark.parametrize("n", [1, 100, 1152])
@pytest.mark.parametrize("name", ["flac", "wav", "mp3"])
def test_very_short_songs_survive(tmp_path: Path, n: int, name: str) -> None:
    audio, target = Audio(n, 44100, 2), tmp_path / f"o.{name}"
    media.encode(spool(tmp_path / "s", np.ones((n, 2))), audio, target, FORMATS[name], timeout=30)
    assert measured(target).audio == audio


def test_surround_is_mixed_as_ffmpeg_does(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav", channels=6, n=5000)
    media.decode(source, tmp_path / "ours", audio=Audio(5000, 44100, 2), timeout=20)
    ffmpeg("-i", source, "-ac", "2", "-f", "f32le", tmp_path / "theirs")
    ours, theirs = (np.fromfile(tmp_path / n, "<f4") for n in ("ours", "theirs"))
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
    again = media.decode(tmp_path / "both.mp3", tmp_path / "s", audio=audio, timeout=20)
    assert again == audio


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
    assert media.decode(tmp_path / "b.mp3", tmp_path / "s", audio=audio, timeout=20) == audio


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


def test_decode_refuses_another_length_than_was_measured(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav", n=44100 * 5)
    for claimed in (44100, 44100 * 9):
        with pytest.raises(MediaError) as caught:
            media.decode(source, tmp_path / "t", audio=Audio(claimed, 44100, 2), timeout=20)
        assert caught.value.code == "ffmpeg_failed"


def test_blocks_carry_only_sound(tmp_path: Path) -> None:
    wild = np.array([[np.nan, np.inf], [-np.inf, 1e30], [0.5, -1.5]], "<f4")
    blocks = list(media.read_blocks(spool(tmp_path / "s", wild), 2, block=2))
    assert [b.shape for b in blocks] == [(2, 2), (2, 1)]
    joined = np.concatenate(blocks, 1)
    assert joined.tolist() == [[0, 0, 0.5], [0, 1000, -1.5]]
    (tmp_path / "odd").write_bytes(b"\0" * 12)
    with pytest.raises(ValueError, match="inside a frame"):
        list(media.read_blocks(tmp_path / "odd", 2))


def test_samples_beyond_full_scale_are_limited_not_wrapped(tmp_path: Path) -> None:
    loud, audio = np.tile([1.5, -1.5], (100, 1)), Audio(100, 44100, 2)
    media.encode(spool(tmp_path / "s", loud), audio, tmp_path / "o.wav", FORMATS["wav"], timeout=20)
    media.decode(tmp_path / "o.wav", tmp_path / "d", audio=audio, timeout=20)
    back = np.fromfile(tmp_path / "d", "<f4").reshape(-1, 2)
    assert np.allclose(back, [[1.0, -1.0]], atol=1e-6)
