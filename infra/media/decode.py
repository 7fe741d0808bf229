"""From an upload to facts (measure) and to a spool (decode)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

from domain.audio import Audio
from domain.errors import MediaError, Unavailable
from infra.media import process, source
from infra.media.spool import SAMPLE_BYTES

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; beyond lie broken headers, not music

# Mono stays mono and everything else is mixed to stereo by ffmpeg's resampler, exactly as
# its -ac 2 does (which would turn mono to stereo as well). The rate stays what the decoder
# says at the start: when it changes midway, ffmpeg resamples to it.
_DOWNMIX = "aformat=channel_layouts=mono|stereo"
# Decode what can be decoded however many packets are broken, as players do.
# SIGINT, SIGKILL (out of memory, too), SIGTERM, and ffmpeg's own word for the polite ones.
_STOPPED = (-2, -9, -15, 255)
_TOLERANT = ("-max_error_rate", "1")


class Measured(Struct, frozen=True):
    """What really is in a file. damaged: ffmpeg ended with an error status.

    Broken packets that it skipped do not set it: only giving up does.
    """

    audio: Audio
    container: str
    codec: str
    damaged: bool


def measure(
    path: Path,
    *,
    max_seconds: int,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> Measured:
    """Decodes the first audio stream to its end and counts; stores nothing.

    timeout: seconds. A corrupt tail is accepted: the samples before it count.
    Raises MediaError ``media_empty``, ``media_unreadable``, ``media_too_long`` (as soon as
    the count passes ``max_seconds``), ``media_forbidden``, ``no_audio``, ``ffmpeg_timeout``,
    ``ffmpeg_failed``; Cancelled.
    """
    source.check(path)
    # Sun audio has the simplest header that states rate and channels and no length.
    command = _command(path, format="au", acodec="pcm_s16be")
    count = _Count(max_seconds)
    outcome = process.run(command, timeout=timeout, cancelled=cancelled, sink=count)
    _check_end(outcome.code)
    if not count.samples:
        raise source.refusal(outcome.log)
    container, codec = source.names(outcome.log)
    audio = Audio(samples=count.samples, rate=count.rate, channels=count.channels)
    return Measured(audio, container, codec, damaged=outcome.code != 0)


def decode(
    path: Path,
    target: Path,
    *,
    audio: Audio,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> Audio:
    """Writes the song to ``target`` as a spool at the measured rate and channels.

    Returns what was written, whose ``samples`` is the truth from here on: it equals
    ``audio`` unless another ffmpeg measured, and more than a second's difference is an
    error, so nothing is ever cut silently.
    Raises MediaError as ``measure`` does, or ``ffmpeg_failed``; Cancelled. On any failure
    the target is removed.
    """
    source.check(path)
    command = _command(path, format="f32le", acodec="pcm_f32le", ar=audio.rate, ac=audio.channels)
    try:
        with target.open("wb") as file:
            spool = _Spool(file, audio)
            outcome = process.run(command, timeout=timeout, cancelled=cancelled, sink=spool)
        _check_end(outcome.code)
        if not spool.samples:
            raise source.refusal(outcome.log)
        if spool.samples < audio.samples - audio.rate:
            raise _changed()
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Audio(samples=spool.samples, rate=audio.rate, channels=audio.channels)


def _command(path: Path, **output: Any) -> list[str]:
    stream = source.opened(path).output("pipe:1", af=_DOWNMIX, **output)
    return process.arguments(stream.global_args(*_TOLERANT))


class _Count:
    """Reads an .au stream: header fields, then the number of samples per channel."""

    def __init__(self, max_seconds: int) -> None:
        self.rate = self.channels = 0
        self._max_seconds = max_seconds
        self._head, self._bytes, self._start = b"", 0, 0

    @property
    def samples(self) -> int:
        return max(0, self._bytes - self._start) // (2 * self.channels) if self.channels else 0

    def __call__(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if not self.channels:
            self._head += chunk
            if len(self._head) >= 24:
                self._read_header()
        if self.rate and self.samples > self._max_seconds * self.rate:
            raise MediaError(
                "media_too_long",
                f"This is longer than the limit of {self._max_seconds} seconds. Cut it into "
                "parts and upload those.",
                max_seconds=self._max_seconds,
            )

    def _read_header(self) -> None:
        _, self._start, _, _, rate, channels = struct.unpack(">4sIIIII", self._head[:24])
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise MediaError(
                "media_unreadable",
                f"The file claims a sampling rate of {rate} Hz; we work with {LOWEST_RATE} to "
                f"{HIGHEST_RATE} Hz. Convert it to 44100 or 48000 Hz.",
            )
        self.rate, self.channels, self._head = rate, channels, b""


class _Spool:
    """Writes and counts; stops where a file grew well past what was measured."""

    def __init__(self, file: BinaryIO, audio: Audio) -> None:
        self._file, self._bytes = file, 0
        self._frame = SAMPLE_BYTES * audio.channels
        self._limit = (audio.samples + audio.rate) * self._frame

    @property
    def samples(self) -> int:
        return self._bytes // self._frame

    def __call__(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if self._bytes > self._limit:
            raise _changed()
        self._file.write(chunk)


def _changed() -> MediaError:
    return MediaError(
        "ffmpeg_failed", "The song decoded to another length than was measured; try again."
    )


def _check_end(code: int) -> None:
    """Raises Unavailable when somebody stopped ffmpeg, MediaError when it crashed by itself.

    What was counted or decoded until then is no measure of the file. ffmpeg answers a polite
    signal with exit code 255.
    """
    if code in _STOPPED:
        raise Unavailable("ffmpeg was stopped from outside before it was done. Try again.")
    if code < 0:
        raise MediaError(
            "ffmpeg_failed",
            "The decoder crashed on this file; convert it to WAV or FLAC and upload that.",
        )
