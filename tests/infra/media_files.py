"""Files for the tests of infra.media, and the calls that all of them make."""

from __future__ import annotations

import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from domain.audio import Audio, Format
from domain.errors import MediaError
from infra import media
from infra.media.sound import Block

# The tone of a file that a hostile one tries to reach; our own files sound two octaves lower.
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
        decoded(path, Audio(10**6, 44100, 2))
    return caught.value


def decoded(path: Path, audio: Audio, block: int = 65_536) -> Block:
    """All blocks as one, (channels, n)."""
    return np.concatenate(list(media.blocks(path, audio=audio, timeout=20, block=block)), 1)


def encoded(path: Path, audio: Audio, format: Format, sound: Block, block: int = 7000) -> Path:  # noqa: A002
    """The sound, (channels, n), as a file."""
    with media.Encoder(path, audio, format, timeout=30) as encoder:
        for start in range(0, sound.shape[1], block):
            encoder.write(sound[:, start : start + block])
        encoder.finish()
    return path


def noise(channels: int, n: int, level: float = 0.1) -> Block:
    """White and always the same."""
    made = np.random.default_rng(1).standard_normal((channels, n)) * level
    return made.astype(np.float32)


def float_wav(path: Path, sound: Block, rate: int = 44100) -> Path:
    """A WAV of float32, which can carry what is no sound."""
    channels = len(sound)
    data = sound.T.astype("<f4").tobytes()
    kind = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    chunks = b"WAVEfmt " + struct.pack("<I", len(kind)) + kind
    chunks += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return path
