"""From a spool to a file that people play: FLAC and WAV with 24 bits, MP3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from domain.audio import Audio, Format
from domain.errors import MediaError
from infra.media import process
from infra.media.gapless import correct_padding
from infra.media.spool import read_blocks

_FULL_SCALE = 2**23


def encode(
    spool: Path,
    audio: Audio,
    target: Path,
    format: Format,  # noqa: A002 - the field's word
    *,
    gain: float = 1.0,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> None:
    """Writes ``spool`` times ``gain`` as ``format`` at the same rate and channels.

    FLAC and WAV carry 24 bits, rounded, limited at full scale; WAV turns to RF64 past 4 GB.
    MP3 is 320 kb/s, or the most that MPEG-2 and 2.5 allow for low rates. Decoding gives
    exactly ``audio.samples`` again, MP3 too in players that read the gapless header.
    Raises MediaError ``ffmpeg_timeout`` or ``ffmpeg_failed``, Cancelled; the target is
    removed then. Raises KeyError for a format that is not in ``domain.audio.FORMATS``.
    """
    raw, settings = _SETTINGS[format.name]
    given = ffmpeg.input("pipe:0", format=raw, ar=audio.rate, ac=audio.channels)
    stream = given.output(f"file:{target.absolute()}", fflags="+bitexact", **settings(audio))
    pack = _as_float if raw == "f32le" else _as_24_bits
    try:
        outcome = process.run(
            process.arguments(stream),
            timeout=timeout,
            cancelled=cancelled,
            feed=_packed(spool, audio.channels, gain, pack),
        )
        if outcome.code != 0 or not target.exists():
            raise MediaError(
                "ffmpeg_failed", f"The {format.name} file could not be written; try again."
            )
        if format.name == "mp3":
            correct_padding(target, audio.samples, audio.rate)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _packed(
    spool: Path, channels: int, gain: float, pack: Callable[[NDArray[np.float32]], bytes]
) -> Iterator[bytes]:
    for block in read_blocks(spool, channels):
        yield pack((block * np.float32(gain)).T)


def _as_24_bits(frames: NDArray[np.float32]) -> bytes:
    """Packed s24le. Rounded here because ffmpeg's own conversion cuts towards -infinity."""
    scaled = np.rint(frames.astype(np.float64) * _FULL_SCALE)
    whole = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i4")
    return whole.reshape(-1, 1).view(np.uint8)[:, :3].tobytes()


def _as_float(frames: NDArray[np.float32]) -> bytes:
    return frames.astype("<f4").tobytes()


def _flac(_: Audio) -> dict[str, Any]:
    # Rates outside the streamable subset are legal FLAC. A fixed frame size, because ffmpeg
    # takes it from the first block otherwise and refuses songs of a few samples.
    return {"format": "flac", "acodec": "flac", "strict": "experimental", "frame_size": 4608}


def _wav(_: Audio) -> dict[str, Any]:
    return {"format": "wav", "acodec": "pcm_s24le", "rf64": "auto"}


def _mp3(audio: Audio) -> dict[str, Any]:
    # MPEG-1, MPEG-2, MPEG-2.5: the highest rate each table (and LAME) has.
    kbps = 320 if audio.rate >= 32_000 else 160 if audio.rate >= 16_000 else 64
    return {"format": "mp3", "acodec": "libmp3lame", "audio_bitrate": f"{kbps}k"}


_SETTINGS: dict[str, tuple[str, Callable[[Audio], dict[str, Any]]]] = {
    "flac": ("s24le", _flac),
    "wav": ("s24le", _wav),
    "mp3": ("f32le", _mp3),
}
