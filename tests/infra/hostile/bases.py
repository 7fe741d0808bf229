"""Good files, from which the bad ones are made; and the secrets that some of them ask for."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np

from infra import media

SECONDS = 1.5
RATE = 44_100

# No decoder gives these samples by itself: 64 of them in a row are the canary's.
CANARY = np.random.default_rng(7_301).integers(-20_000, 20_000, 44_100).astype("<i2")
CANARY_TEXT = b"canary-3f9a61d27c-never-to-be-seen"

_PICTURE = ("-f", "lavfi", "-i", f"testsrc=size=64x48:rate=10:duration={SECONDS}")
_TWO_PICTURES = "-c:v mpeg4 -map 0:v -map 1:a"
_RECIPES = {
    "song.mp3": "-c:a libmp3lame -b:a 128k",
    "song.wav": "-c:a pcm_s16le",
    "deep.wav": "-c:a pcm_s24le",
    "song.flac": "-c:a flac",
    "song.m4a": "-c:a aac",
    "alac.m4a": "-c:a alac",
    "song.ogg": "-c:a libvorbis",
    "song.opus": "-c:a libopus",
    "song.wma": "-c:a wmav2 -f asf",
    "song.mka": "-c:a flac -f matroska",
    "song.aiff": "-c:a pcm_s16be",
    "song.ac3": "-c:a ac3",
    "song.aac": "-c:a aac -f adts",
    "song.wv": "-c:a wavpack",
    "song.tta": "-c:a tta",
    "song.caf": "-c:a pcm_s16le",
    "song.w64": "-c:a pcm_s16le",
    "song.au": "-c:a pcm_s16be",
    "film.mp4": f"-c:a aac {_TWO_PICTURES}",
    "film.mkv": f"-c:a libvorbis {_TWO_PICTURES}",
    "film.avi": f"-c:a libmp3lame {_TWO_PICTURES}",
    "film.ts": f"-c:a mp2 {_TWO_PICTURES}",
    "film.flv": "-c:a aac -c:v flv -map 0:v -map 1:a",
}
_SILENT_FILMS = ("silent.mp4", "silent.mkv", "silent.avi", "silent.ts")
_PICTURES = ("still.png", "still.jpg", "still.gif", "still.bmp")


def make(directory: Path) -> dict[str, bytes]:
    """Everything by name: songs, films, films without sound, pictures."""
    song = directory / "base.wav"
    _tone(song)
    made = {}
    for name, words in _RECIPES.items():
        pictures = _PICTURE if name.startswith("film") else ()
        made[name] = _ffmpeg(directory / name, *pictures, "-i", song, *words.split())
    for name in _SILENT_FILMS:
        made[name] = _ffmpeg(directory / name, *_PICTURE, "-c:v", "mpeg4")
    for name in _PICTURES:
        made[name] = _ffmpeg(directory / name, *_PICTURE, "-frames:v", "1", "-update", "1")
    song.unlink()
    return made


def secrets(directory: Path) -> Path:
    """A folder of files that nobody may be shown: sound, text and a picture."""
    directory.mkdir()
    with wave.open(str(directory / "secret.wav"), "wb") as file:
        file.setparams((1, 2, RATE, len(CANARY), "NONE", ""))
        file.writeframes(CANARY.tobytes())
    (directory / "secret.txt").write_bytes(CANARY_TEXT)
    _ffmpeg(directory / "secret.ts", "-i", directory / "secret.wav", "-c:a", "mp2", keep=True)
    _ffmpeg(directory / "secret001.png", *_PICTURE, "-frames:v", "1", "-update", "1", keep=True)
    return directory


def other_song(directory: Path, rate: int, channels: int, *words: str) -> bytes:
    """A song at another rate, for files that change midway."""
    source = f"sine=frequency=300:sample_rate={rate}:duration=1"
    command = ("-f", "lavfi", "-i", source, "-ac", str(channels), *words)
    return _ffmpeg(directory / "other", *command)


def _tone(path: Path) -> None:
    n = int(SECONDS * RATE)
    t = np.sin(2 * np.pi * 440 * np.arange(n) / RATE) * 0.4
    noise = np.random.default_rng(5).standard_normal((n, 2)) * 0.02
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, n, "NONE", ""))
        file.writeframes(((t[:, None] + noise) * 32767).astype("<i2").tobytes())


def _ffmpeg(target: Path, *words: str | Path, keep: bool = False) -> bytes:
    command = [media.binary(), "-v", "error", "-nostdin", "-y", *map(str, words)]
    command += ["-fflags", "+bitexact", "-flags", "+bitexact", "-threads", "1", str(target)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    data = target.read_bytes()
    if not keep:
        target.unlink()
    return data
