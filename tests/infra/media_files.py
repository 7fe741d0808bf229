"""Files for the tests of infra.media, and the calls that all of them make."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from domain.audio import Audio
from domain.errors import MediaError
from infra import media

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
        media.decode(path, path.parent / "spool", audio=Audio(10**6, 44100, 2), timeout=20)
    assert not (path.parent / "spool").exists()
    return caught.value


def spool(path: Path, frames: np.ndarray) -> Path:
    path.write_bytes(frames.astype("<f4").tobytes())
    return path
