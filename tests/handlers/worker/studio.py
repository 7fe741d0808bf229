"""A network that needs no time, songs for it, and the request for their stems."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.audio import Audio
from domain.catalog import Model
from domain.job import SeparationRequested
from infra.media.sound import Block
from infra.separators import Request
from infra.separators.spleeter import SPLEETER_2STEMS
from infra.separators.streaming import Streamed
from tests.infra.media_files import float_wav

STEMS = SPLEETER_2STEMS.stems
LEVEL = 0.2
"""With it a song below 0.8 has no stem over full scale."""


class Exchange:
    """A core whose vocals are the song with its channels exchanged, times ``level``.

    pause: seconds of each chunk; heard: called at each. Keeps the requests that it was started
    with.
    """

    def __init__(
        self, level: float = LEVEL, pause: float = 0.0, heard: Callable[[], object] = bool
    ) -> None:
        self.level, self.pause, self._heard = level, pause, heard
        self.requests: list[Request] = []

    def start(self, request: Request, _: Callable[[], bool]) -> Exchange:
        self.requests.append(request)
        return self

    def push(self, mix: Block) -> Block:
        self._heard()
        time.sleep(self.pause)
        return np.float32(self.level) * mix[None, ::-1]

    def finish(self) -> Block:
        return np.zeros((1, 2, 0), np.float32)


def exchange(
    level: float = LEVEL,
    pause: float = 0.0,
    rate: int = 44_100,
    model: Model = SPLEETER_2STEMS,
    heard: Callable[[], object] = bool,
) -> Streamed:
    """A separator for songs at ``rate``, which it does not resample."""
    return Streamed(model, Exchange(level, pause, heard), rate)


def song(channels: int = 2, n: int = 44_100, rate: int = 44_100, peak: float = 0.79) -> Block:
    """Chords and a little noise."""
    t, noise = np.arange(n) / rate, np.random.default_rng(2).standard_normal((channels, n))
    made: NDArray[np.float64] = np.stack(
        [np.sin(2 * np.pi * 220 * (c + 1) * t) for c in range(channels)]
    )
    made += 0.05 * noise
    made *= peak / np.abs(made).max()
    return made.astype(np.float32)


def asked(
    audio: Audio,
    format_name: str = "wav32f",
    stems: Sequence[str] = STEMS,
    prompt: str | None = None,
    *,
    bundle: bool = False,
) -> SeparationRequested:
    """For these outputs of a song."""
    return SeparationRequested(
        "usr", "ast", "key", SPLEETER_2STEMS.name, tuple(stems), format_name, audio.samples,
        audio.rate, audio.channels, 1, "test", prompt=prompt, bundle=bundle,
    )  # fmt: skip


def write(path: Path, sound: Block, rate: int = 44_100) -> Path:
    """A WAV of floats."""
    return float_wav(path, sound, rate)
