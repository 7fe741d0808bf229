"""ffmpeg in and out: exact lengths, honest facts, and files that try to reach others."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from domain.audio import FORMATS, Audio, Cancelled
from domain.errors import MediaError, Unavailable
from infra import media
from infra.media import process

SECRET_HZ = 3000.0


def tone(path: Path, *, rate: int = 44100, channels: int = 2, n: int = 44100) -> Path:
    """A 16-bit WAV of a sine with another level in each channel."""
    t = np.sin(2 * np.pi * SECRET_HZ / 4 * np.arange(n) / rate)
    frames = np.stack([t * (0.5 / (c + 1)) for c in range(channels)], 1)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, n, "NONE", ""))
        file.writeframes((frames * 32767).astype("<i2").tobytes())
    return path


def ffmpeg(*arguments: str | Path) -> None:
    command = [media.binary(), "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=30)


def measured(path: Path, max_seconds: int = 60) -> media.Measured:
    return media.measure(path, max_seconds=max_seconds, timeout=20)


def refused(path: Path) -> MediaError:
    with pytest.raises(MediaError) as caught:
        measured(path)
    assert str(path.parent) not in str(caught.value)
    with pytest.raises(MediaError):
        media.decode(path, path.parent / "spool", audio=Audio(10**6, 44100, 2), timeout=20)
    assert not (path.parent / "spool").exists()
    return caught.value


def spool(path: Path, frames: np.ndarray) -> Path:
    path.write_bytes(frames.astype("<f4").tobytes())
    return path


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


def test_what_is_no_audio(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:size=16x16", "-frames:v", "1", tmp_path / "i.png")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="secret.wav"/></svg>'
    files = {
        "empty.mp3": b"",
        "text.mp3": b"Dear diary, this is not a song.\n" * 200,
        "i.mp3": (tmp_path / "i.png").read_bytes(),
        "s.mp3": svg,
        "noise.bin": np.random.default_rng(3).bytes(50000),
    }
    codes = {}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        codes[name] = refused(tmp_path / name).code
    assert codes.pop("empty.mp3") == "media_empty"
    assert set(codes.values()) <= {"media_unreadable", "no_audio"}
    header = tone(tmp_path / "none.wav", n=0)
    assert refused(header).code == "media_empty"


def hostile(secret: Path) -> dict[str, bytes]:
    """Files that ask a player to open ``secret``."""
    uri, name = f"file://{secret}", secret.name
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT5S"><Period><AdaptationSet mimeType="audio/wav">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{uri}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    return {
        "a.m3u8": hls.format(uri).encode(),
        "b.mp3": hls.format(name).encode(),
        "late.mp3": b"#EXTM3U\n#" + b" " * 9000 + hls.format(uri).encode(),
        "crypto.m3u8": hls.format("crypto:" + uri).encode(),
        "c.mp3": f"ffconcat version 1.0\nfile '{name}'\n".encode(),
        "d.ffconcat": f"ffconcat version 1.0\nfile '{uri}'\n".encode(),
        "e.mpd": mpd.encode(),
        "f.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=audio 5004 RTP/AVP 0\n",
        "g.pls": f"[playlist]\nFile1={uri}\n".encode(),
        "h.avs": f'WavSource("{secret}")\n'.encode(),
        "i.m3u8.gz": b"\x1f\x8b" + b"#EXTM3U\n",
    }


def reaches(*arguments: str | Path) -> bool:
    """The control: a plain ffmpeg does follow this file, so a refusal means something."""
    command = [media.binary(), "-loglevel", "error", *map(str, arguments), "-f", "s16le", "-"]
    return bool(subprocess.run(command, capture_output=True, timeout=30, check=False).stdout)


def test_playlists_do_not_reach_other_files(tmp_path: Path) -> None:
    secret = tone(tmp_path / "secret.wav")
    ffmpeg("-i", secret, "-c:a", "aac", tmp_path / "secret.ts")
    codes = {}
    for name, data in hostile(secret).items():
        (tmp_path / name).write_bytes(data)
        codes[name] = refused(tmp_path / name).code
    (tmp_path / "x.m3u8").write_bytes(hostile(tmp_path / "secret.ts")["a.m3u8"])
    assert reaches("-i", tmp_path / "x.m3u8")
    assert reaches("-i", tmp_path / "c.mp3")
    assert refused(tmp_path / "x.m3u8").code == "media_forbidden"
    assert set(codes.values()) <= {"media_forbidden", "media_unreadable"}
    for name in ("a.m3u8", "b.mp3", "late.mp3", "c.mp3", "d.ffconcat", "e.mpd", "g.pls"):
        assert codes[name] == "media_forbidden", name


def test_quicktime_external_reference_is_not_followed(tmp_path: Path) -> None:
    """The same movie with samples inside plays; with a dref to the secret it does not."""
    secret = tone(tmp_path / "secret.wav", channels=1)
    ffmpeg("-i", secret, "-c:a", "pcm_s16be", "-f", "mov", tmp_path / "plain.mov")
    assert measured(tmp_path / "plain.mov").audio.samples == 44100
    movie = with_external_reference((tmp_path / "plain.mov").read_bytes(), secret)
    (tmp_path / "ref.mov").write_bytes(movie)
    assert reaches("-enable_drefs", "1", "-use_absolute_path", "1", "-i", tmp_path / "ref.mov")
    assert refused(tmp_path / "ref.mov").code == "media_forbidden"


def with_external_reference(movie: bytes, secret: Path) -> bytes:
    """Replaces the self reference in every dref by an ``alis`` record that names a file."""
    path, name = str(secret).encode(), secret.name.encode()
    record = bytearray(150)
    record[4:8] = struct.pack(">HH", 150, 2)
    record[10:38] = bytes([4]) + b"root".ljust(27, b"\0")
    record[50:114] = bytes([len(name)]) + name.ljust(63, b"\0")
    record[130:134] = struct.pack(">HH", 1, 1)
    tags = struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2)
    tags += struct.pack(">HH", 18, len(path)) + path + b"\0" * (len(path) % 2)
    tags += struct.pack(">HH", 0xFFFF, 0)
    body = bytes(4) + bytes(record) + tags
    alias = struct.pack(">I4s", len(body) + 8, b"alis") + body
    assert movie.find(b"moov") > movie.find(b"mdat"), "sample offsets stay where they were"
    while (at := movie.find(b"dref")) >= 0:
        size = int.from_bytes(movie[at - 4 : at], "big")
        box = struct.pack(">I4sII", 16 + len(alias), b"DREF", 0, 1) + alias
        movie = movie[: at - 4] + box + movie[at - 4 + size :]
        for parent in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
            # the innermost parents of this dref: the last of their kind before it
            up = movie.rfind(parent, 0, at)
            if up < 0:
                continue
            old = int.from_bytes(movie[up - 4 : up], "big")
            new = struct.pack(">I", old + len(box) - size)
            movie = movie[: up - 4] + new + movie[up:]
    return movie.replace(b"DREF", b"dref")


def test_names_that_are_protocols_stay_names(tmp_path: Path) -> None:
    secret = tone(tmp_path / "secret.wav")
    for name in ("subfile,,start,0,end,0,,:secret.wav", "concat:secret.wav|x", "-y", "%d.wav"):
        odd = tmp_path / name
        odd.write_bytes(secret.read_bytes())
        assert measured(odd).audio.samples == 44100
        odd.write_bytes(b"not audio")
        assert refused(odd).code == "media_unreadable"


def test_time_limit_and_cancellation(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav", n=44100 * 20)
    with pytest.raises(MediaError) as caught:
        media.measure(source, max_seconds=60, timeout=0.0)
    assert caught.value.code == "ffmpeg_timeout"
    with pytest.raises(Cancelled):
        media.measure(source, max_seconds=60, timeout=20, cancelled=lambda: True)
    target = tmp_path / "t"
    with pytest.raises(Cancelled):
        media.decode(source, target, audio=Audio(1, 44100, 2), timeout=20, cancelled=lambda: True)
    with pytest.raises(Cancelled):
        media.encode(
            spool(tmp_path / "s", np.zeros((1000, 2))),
            Audio(1000, 44100, 2),
            target,
            FORMATS["flac"],
            timeout=20,
            cancelled=lambda: True,
        )
    assert not target.exists()


def test_a_hung_child_is_killed_within_its_limit() -> None:
    polls: list[float] = []

    def poll() -> bool:
        polls.append(time.monotonic())
        return False

    started = time.monotonic()
    with pytest.raises(MediaError, match="longer than its time limit"):
        process.run(["/bin/sleep", "60"], timeout=1.0, cancelled=poll, sink=lambda _: None)
    assert time.monotonic() - started < 2
    assert len(polls) >= 4


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


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_the_child_dies_with_its_parent() -> None:
    code = (
        "import os\nfrom infra.media import process\n"
        "mine = f'/proc/self/task/{os.getpid()}/children'\n"
        "tell = lambda: print(open(mine).read(), flush=True)\n"
        "process.run(['/bin/sleep', '60'], timeout=60, cancelled=tell)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    """Running: neither gone nor a zombie whom nobody has asked for yet."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_decoder_measures_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """What ffmpeg counted until somebody stopped it must not become the length that is paid."""
    source = tone(tmp_path / f"song-{number}.wav", n=44100 * 60)
    patient = tmp_path / "ffmpeg"  # reads in real time, so that there is time to stop it
    patient.write_text(f'#!/bin/sh\nexec "{media.binary()}" -re "$@"\n')
    patient.chmod(0o755)
    monkeypatch.setenv("SPLITSOUND_FFMPEG", str(patient))
    asked = [0]

    def stop_it() -> bool:
        asked[0] += 1
        if asked[0] == 4:
            for process_id in running_on(source):
                os.kill(process_id, number)
        return False

    with pytest.raises(Unavailable):
        media.measure(source, max_seconds=600, timeout=30, cancelled=stop_it)


def running_on(source: Path) -> list[int]:
    found = []
    for commands in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = commands.read_bytes().split(b"\0")
            if any(str(source).encode() in w for w in words):
                found.append(int(commands.parent.name))
    return found
