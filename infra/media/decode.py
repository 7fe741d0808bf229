"""From an upload to facts (measure, count) and to samples (blocks)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from domain.audio import Audio
from domain.errors import MediaError
from infra.media import ending, process, source
from infra.media.sandbox import Limits, confined, cpu_limit
from infra.media.sound import BLOCK, SAMPLE_BYTES, Block, Statistics, sane

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; beyond lie broken headers, not music

# Mono stays mono and everything else is mixed to stereo by ffmpeg's resampler, exactly as
# its -ac 2 does (which would turn mono to stereo as well). The rate stays what the decoder
# says at the start: when it changes midway, ffmpeg resamples to it.
_DOWNMIX = "aformat=channel_layouts=mono|stereo"
# Decode what can be decoded however many packets are broken, as players do.
_TOLERANT = ("-max_error_rate", "1")


class Measured(Struct, frozen=True):
    """What really is in a file. damaged: ffmpeg ended with an error status.

    Broken packets that it skipped do not set it: only giving up does. mean, deviation: of the
    mono mix of the whole song, full scale being 1.
    """

    audio: Audio
    container: str
    codec: str
    damaged: bool
    mean: float
    deviation: float


def measure(
    path: Path,
    *,
    max_seconds: int,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> Measured:
    """Decodes the first audio stream to its end and counts; stores nothing.

    timeout: seconds of waiting for ffmpeg. A corrupt tail is accepted: the samples before it
    count. Raises MediaError ``media_empty``, ``media_unreadable``, ``media_too_long`` (as soon
    as the count passes ``max_seconds``), ``media_forbidden``, ``no_audio``, ``ffmpeg_timeout``,
    ``ffmpeg_failed``; Cancelled; Unavailable when somebody stopped ffmpeg.
    """
    statistics = Statistics()

    def take(piece: memoryview, channels: int) -> None:
        statistics.add(_block(piece, channels, ">f4"))

    audio, outcome = _run_through(path, take, max_seconds, timeout, cancelled)
    container, codec = source.names(outcome.log)
    return Measured(
        audio,
        container,
        codec,
        damaged=outcome.code != 0,
        mean=statistics.mean,
        deviation=statistics.deviation,
    )


def count(
    path: Path,
    *,
    max_seconds: int,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> Audio:
    """The length that ``measure`` finds, for a third of its processor time; raises the same."""
    audio, _ = _run_through(path, lambda *_: None, max_seconds, timeout, cancelled)
    return audio


def _run_through(
    path: Path,
    take: Callable[[memoryview, int], None],
    max_seconds: int,
    timeout: float,
    cancelled: Callable[[], bool],
) -> tuple[Audio, process.Outcome]:
    """take: told the bytes of whole frames, and the channels."""
    source.check(path)
    # Sun audio has the simplest header that states rate and channels and no length.
    command = _command(path, timeout, format="au", acodec="pcm_f32be", map_metadata=-1)
    with process.Child(command, timeout=timeout, cancelled=cancelled, stdout=True) as child:
        rate, channels = _au_header(child)
        samples = 0
        for piece in _frames(child, channels, BLOCK) if channels else ():
            samples += len(piece) // (channels * SAMPLE_BYTES)
            _check_length(samples, rate, max_seconds)
            take(piece, channels)
        outcome = child.end()
    _check_end(outcome, timeout)
    if not samples:
        raise source.refusal(outcome.log)
    return Audio(samples, rate, channels), outcome


def blocks(
    path: Path,
    *,
    audio: Audio,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
    block: int = BLOCK,
) -> Generator[Block]:
    """The song as float32 blocks (channels, block), the last one shorter, as it is decoded.

    audio: as ``measure`` found it. Values that are no sound (NaN, infinite) come as 0 and
    absurd ones are limited to +-1000. ffmpeg waits while the consumer is busy, which does not
    count against ``timeout`` (seconds of waiting for ffmpeg); closing the iterator kills it.
    Raises what ``measure`` raises, and MediaError ``ffmpeg_failed`` where other than
    ``audio.samples`` samples come, so that nothing is ever cut silently.
    """
    source.check(path)
    shape = {"ar": audio.rate, "ac": audio.channels}
    command = _command(path, timeout, format="f32le", acodec="pcm_f32le", **shape)
    samples = 0
    with process.Child(command, timeout=timeout, cancelled=cancelled, stdout=True) as child:
        for piece in _frames(child, audio.channels, block):
            sound = _block(piece, audio.channels, "<f4")
            samples += sound.shape[1]
            if samples > audio.samples:
                raise _changed()
            yield sound
        outcome = child.end()
    _check_end(outcome, timeout)
    if not samples:
        raise source.refusal(outcome.log)
    if samples < audio.samples:
        raise _changed()


def _command(path: Path, timeout: float, **output: Any) -> list[str]:
    stream = source.opened(path).output("pipe:1", af=_DOWNMIX, **output)
    command = process.arguments(stream.global_args(*_TOLERANT))
    return confined(command, read=[path], limits=Limits(cpu_seconds=cpu_limit(timeout)))


def _au_header(child: process.Child) -> tuple[int, int]:
    """Rate and channels, both 0 when not even a header came."""
    head = bytearray(24)
    if child.read(head) < len(head):
        return 0, 0
    _, start, _, _, rate, channels = struct.unpack(">4sIIIII", head)
    child.read(bytearray(start - len(head)))
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise MediaError(
            "media_unreadable",
            f"The file claims a sampling rate of {rate} Hz; we work with {LOWEST_RATE} to "
            f"{HIGHEST_RATE} Hz. Convert it to 44100 or 48000 Hz.",
        )
    return rate, channels


def _frames(child: process.Child, channels: int, block: int) -> Iterator[memoryview]:
    """The bytes of ``block`` whole frames at a time, at the end of fewer; good until the next."""
    frame = channels * SAMPLE_BYTES
    buffer = bytearray(block * frame)
    while whole := child.read(buffer) // frame * frame:
        yield memoryview(buffer)[:whole]
        if whole < len(buffer):
            break


def _block(piece: memoryview, channels: int, layout: str) -> Block:
    """The sound in interleaved samples."""
    frames: NDArray[np.float32] = np.frombuffer(piece, layout)
    return sane(frames.reshape(-1, channels).T.astype("<f4", order="C"))


def _check_length(samples: int, rate: int, max_seconds: int) -> None:
    if samples > max_seconds * rate:
        raise MediaError(
            "media_too_long",
            f"This is longer than the limit of {max_seconds} seconds. Cut it into "
            "parts and upload those.",
            max_seconds=max_seconds,
        )


def _changed() -> MediaError:
    return MediaError(
        "ffmpeg_failed", "The song decoded to another length than was measured; try again."
    )


def _check_end(outcome: process.Outcome, timeout: float) -> None:
    """Raises Unavailable when somebody stopped ffmpeg, MediaError when it crashed by itself.

    What was counted or decoded until then is no measure of the file.
    """
    ending.check(outcome, timeout)
    if outcome.code < 0:
        raise MediaError(
            "ffmpeg_failed",
            "The decoder crashed on this file; convert it to WAV or FLAC and upload that.",
        )
