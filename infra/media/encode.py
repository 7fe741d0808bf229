"""From samples to a file that people play."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Self

import ffmpeg

from domain.audio import Audio, Format
from domain.errors import MediaError, SplitSoundError, StorageFull
from infra.media import ending, process
from infra.media.formats import recipe, samples_at
from infra.media.gapless import correct_padding
from infra.media.sandbox import Limits, confined, cpu_limit
from infra.media.sound import Block


class Encoder:
    """Writes blocks to a file as they come: a context manager.

    ``audio`` is what will be written: its samples must all have come when ``finish`` is
    called. Leaving the context without ``finish`` stops ffmpeg and removes the target.

    FLAC and WAV carry 24 bits, ``wav16`` 16, both rounded and limited at full scale, without
    dither: the stems' sum stays within half a step per stem of the song, and silence stays
    silence. ``wav32f`` carries the floats. WAV turns to RF64 past 4 GB. MP3 is 320 kb/s, or the
    most that MPEG-2 and 2.5 allow for low rates; AAC 128 and Opus 80 kb/s per channel; the
    preview 96 kb/s. Decoding gives exactly ``audio.samples`` again, in players that read the
    gapless header (MP3), the edit list (AAC) or the granule positions (Opus); Opus, and the
    preview of a song at a rate that MP3 lacks, give the samples at their own rate, rounded up.

    timeout: seconds that we wait for ffmpeg, time between the calls aside. ffmpeg dies with the
    thread that entered the context.
    Raises KeyError for a format that is neither in ``domain.audio.FORMATS`` nor ``PREVIEW``.
    Its methods raise MediaError ``ffmpeg_timeout`` or ``ffmpeg_failed``, StorageFull, Cancelled;
    Unavailable when somebody stopped ffmpeg.
    """

    def __init__(
        self,
        target: Path,
        audio: Audio,
        format: Format,  # noqa: A002 - the field's word
        *,
        timeout: float,
        cancelled: Callable[[], bool] = process.never,
    ) -> None:
        self._target, self._audio, self._format = target, audio, format
        self._recipe = recipe(format, audio)
        self._timeout, self._cancelled = timeout, cancelled
        self._written, self._finished = 0, False

    def __enter__(self) -> Self:
        # Confined, ffmpeg may write this one file and create none.
        self._target.touch()
        try:
            self._child = process.Child(
                self._command(),
                timeout=self._timeout,
                cancelled=self._cancelled,
                stdin=True,
            )
        except BaseException:
            self._target.unlink(missing_ok=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()
        if not self._finished:
            self._target.unlink(missing_ok=True)

    def write(self, block: Block) -> None:
        """Encodes (channels, n) float32 samples; waits while ffmpeg is busy."""
        self._written += block.shape[1]
        if not self._child.write(self._recipe.pack(block)):
            raise self._failure(self._child.end())

    def finish(self) -> None:
        """Completes the file. Raises ValueError when more or fewer samples came than said."""
        if self._written != self._audio.samples:
            raise ValueError(f"{self._written} samples came, {self._audio.samples} were announced")
        outcome = self._child.end()
        if outcome.code != 0 or not self._target.stat().st_size:
            raise self._failure(outcome)
        if self._recipe.output["acodec"] == "libmp3lame":
            rate = self._recipe.rate
            correct_padding(self._target, samples_at(self._audio, rate), rate)
        self._finished = True

    def _failure(self, outcome: process.Outcome) -> SplitSoundError:
        ending.check(outcome, self._timeout)
        if "No space left on device" in outcome.log:
            return StorageFull("The disk for stems in the making is full. Try again later.")
        return MediaError(
            "ffmpeg_failed", f"The {self._format.name} file could not be written; try again."
        )

    def _command(self) -> list[str]:
        made, audio, target = self._recipe, self._audio, self._target
        given = ffmpeg.input("pipe:0", format=made.raw, ar=audio.rate, ac=audio.channels)
        stream = given.output(
            f"file:{target.absolute()}",
            fflags="+bitexact",
            **{"flags:a": "+bitexact", "ar": made.rate},
            **made.output,
        )
        limits = Limits(cpu_seconds=cpu_limit(self._timeout), file=_most_bytes(audio))
        return confined(process.arguments(stream), write=[target], limits=limits)


def _most_bytes(audio: Audio) -> int:
    """More than any format needs: two floats per sample, or 64 kB/s at the lowest rates."""
    return (16 << 20) + 8 * audio.samples * audio.channels + 64_000 * math.ceil(audio.seconds)
