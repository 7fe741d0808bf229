"""The stages of a separation, on files in a directory of the job's own.

Everything streams: memory does not grow with the song. Stems are kept as float32 until
all are finished, because one gain common to all of them must be known before any is
encoded: a stem may peak above full scale although the mix does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domain.audio import FORMATS, Audio, Format
from domain.errors import MediaError
from domain.job import SeparationRequested
from infra import media
from infra.separators import Request, Separators

# ffmpeg decodes hundreds of times faster than real time; half of it means it is stuck.
_GRACE_SECONDS = 60


def time_limit(seconds: float) -> float:
    """Seconds that ffmpeg may take over that many seconds of audio."""
    return _GRACE_SECONDS + seconds / 2


@dataclass
class EncodedStem:
    """A stem as a file. peak: largest absolute sample before the gain."""

    name: str
    path: Path
    format: Format
    peak: float


@dataclass
class Pipeline:
    """One attempt at one job. The stages run in order: probe, decode, separate, encode.

    cancelled: asked between blocks, then domain.audio.Cancelled is raised.
    """

    asked: SeparationRequested
    separators: Separators
    directory: Path
    max_seconds: int
    cancelled: Callable[[], bool]
    progress: Callable[[float], None]

    def __post_init__(self) -> None:
        self.source = self.directory / "source"
        self._mix = self.directory / "mix.f32"
        self._audio = Audio(self.asked.samples, self.asked.rate, self.asked.channels)
        self._peaks: dict[str, float] = {}

    def probe(self) -> None:
        """Measure the file again: what was paid for must be what is separated."""
        limit = time_limit(self.max_seconds)
        found = media.measure(
            self.source, max_seconds=self.max_seconds, timeout=limit, cancelled=self.cancelled
        )
        if abs(found.audio.samples - self.asked.samples) > self.asked.rate:
            raise MediaError(
                "media_changed",
                "The file is not as long as it was when it was measured. Upload it again.",
            )
        self._audio = found.audio

    def decode(self) -> None:
        """The song as float32 at its own rate."""
        self._audio = media.decode(
            self.source,
            self._mix,
            audio=self._audio,
            timeout=time_limit(self._audio.seconds),
            cancelled=self.cancelled,
        )

    def separate(self) -> None:
        """Each wanted stem as float32, exactly as long as the song."""
        audio = self._audio
        blocks = self.separators.load(self.asked.model).separate(
            media.read_blocks(self._mix, audio.channels),
            Request(audio.rate, audio.channels, audio.samples),
            self.progress,
            self.cancelled,
        )
        self._peaks = dict.fromkeys(self.asked.stems, 0.0)
        files = {name: self._spool(name).open("wb") for name in self.asked.stems}
        try:
            for block in blocks:
                for name, file in files.items():
                    samples = block[name]
                    self._peaks[name] = max(
                        self._peaks[name], float(np.abs(samples).max(initial=0))
                    )
                    file.write(np.ascontiguousarray(samples.T, dtype="<f4").tobytes())
        finally:
            for file in files.values():
                file.close()
        self._mix.unlink()

    @property
    def gain(self) -> float:
        """The one gain for all stems: below 1 only where a stem would clip."""
        return 1.0 / max(1.0, *self._peaks.values())

    @property
    def gain_db(self) -> float:
        """The gain in decibels, 0 or below."""
        return round(20 * math.log10(self.gain), 4)

    def encode(self) -> list[EncodedStem]:
        """Each stem in the wanted format."""
        chosen = FORMATS[self.asked.format]
        encoded = []
        for number, name in enumerate(self.asked.stems):
            path = self.directory / f"{name}.{chosen.extension}"
            media.encode(
                self._spool(name),
                self._audio,
                path,
                chosen,
                gain=self.gain,
                timeout=time_limit(self._audio.seconds),
                cancelled=self.cancelled,
            )
            self._spool(name).unlink()
            encoded.append(EncodedStem(name, path, chosen, self._peaks[name]))
            self.progress((number + 1) / len(self.asked.stems))
        return encoded

    def _spool(self, name: str) -> Path:
        return self.directory / f"{name}.f32"
