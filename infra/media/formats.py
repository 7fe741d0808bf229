"""What ffmpeg is told for each format that people play.

Every setting gives the same bytes for the same samples and the same ffmpeg.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from domain.audio import Audio, Format
from infra.media.sound import Block, as_16_bits, as_24_bits, as_float

PREVIEW = Format("preview", "mp3", "audio/mpeg", 4_294_967_295, lossless=False)
"""A small MP3 to listen in before downloading: 96 kb/s, at a rate that every player has."""

_OPUS_RATE = 48_000
_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class Recipe(Struct, frozen=True):
    """How samples go into ffmpeg and what it makes of them.

    raw: the samples' format on the pipe; pack: makes it of a block; rate: Hz of the result.
    """

    raw: str
    pack: Callable[[Block], bytes]
    rate: int
    output: dict[str, Any]


def recipe(format: Format, audio: Audio) -> Recipe:  # noqa: A002 - the field's word
    """The settings for one song. Raises KeyError for a format that is not in FORMATS."""
    return _RECIPES[format.name](audio)


def samples_at(audio: Audio, rate: int) -> int:
    """How many samples the song has after resampling: all of it, so rounded up."""
    return -(-audio.samples * rate // audio.rate)


def _flac(audio: Audio) -> Recipe:
    # Level 4 of 0..12: on stems 7 s of CPU per hour of stereo as levels 0 to 3, a third
    # smaller than level 0 and half a percent larger than level 5.
    # Rates outside the streamable subset are legal FLAC. A fixed frame size, because ffmpeg
    # takes it from the first block otherwise and refuses songs of a few samples.
    return Recipe("s32le", as_24_bits, audio.rate, {
        "format": "flac", "acodec": "flac", "bits_per_raw_sample": 24, "compression_level": 4,
        "strict": "experimental", "frame_size": 4608,
    })  # fmt: skip


def _wav(audio: Audio) -> Recipe:
    return Recipe("s32le", as_24_bits, audio.rate, _riff("pcm_s24le"))


def _wav16(audio: Audio) -> Recipe:
    return Recipe("s16le", as_16_bits, audio.rate, _riff("pcm_s16le"))


def _wav32f(audio: Audio) -> Recipe:
    return Recipe("f32le", as_float, audio.rate, _riff("pcm_f32le"))


def _riff(codec: str) -> dict[str, Any]:
    return {"format": "wav", "acodec": codec, "rf64": "auto"}


def _mp3(audio: Audio) -> Recipe:
    # MPEG-1, MPEG-2, MPEG-2.5: the highest rate each table (and LAME) has.
    kbps = 320 if audio.rate >= 32_000 else 160 if audio.rate >= 16_000 else 64
    return _lame(audio.rate, kbps)


def _preview(audio: Audio) -> Recipe:
    # LAME's level 7 takes half the time of its default, 5: 20 s of CPU per hour of stereo.
    if audio.rate in _MPEG_RATES:
        return _lame(audio.rate, 96 if audio.rate >= 16_000 else 64, 7)
    made = _lame(44_100 if audio.rate % 11_025 == 0 else 48_000, 96, 7)
    return _resampled(made, audio)


def _lame(rate: int, kbps: int, level: int = 5) -> Recipe:
    return Recipe("f32le", as_float, rate, {
        "format": "mp3", "acodec": "libmp3lame", "audio_bitrate": f"{kbps}k",
        "compression_level": level,
    })  # fmt: skip


def _aac(audio: Audio) -> Recipe:
    # The slowest: 110 to 150 s of CPU per hour of stereo. aac_coder=fast saves none of it on
    # dense stems and loses 2 dB on drums.
    # The movie's own clock in samples: the edit list that hides the encoder's delay and
    # padding is written in it, and its default of 1/1000 s would round the song's length.
    return Recipe("f32le", as_float, audio.rate, {
        "format": "ipod", "acodec": "aac", "audio_bitrate": f"{128 * audio.channels}k",
        "movflags": "+faststart", "movie_timescale": audio.rate,
    })  # fmt: skip


def _opus(audio: Audio) -> Recipe:
    output = {"format": "ogg", "acodec": "libopus", "audio_bitrate": f"{80 * audio.channels}k"}
    made = Recipe("f32le", as_float, _OPUS_RATE, output)
    return made if audio.rate == _OPUS_RATE else _resampled(made, audio)


def _resampled(made: Recipe, audio: Audio) -> Recipe:
    """With a resampler before it: 64 taps, and never more or less than the song."""
    n = samples_at(audio, made.rate)
    filters = (
        f"aresample={made.rate}:filter_size=64:phase_shift=10:cutoff=0.97,"
        f"apad=whole_len={n},atrim=end_sample={n}"
    )
    return Recipe(made.raw, made.pack, made.rate, {**made.output, "af": filters})


_RECIPES: dict[str, Callable[[Audio], Recipe]] = {
    "flac": _flac,
    "wav": _wav,
    "wav16": _wav16,
    "wav32f": _wav32f,
    "mp3": _mp3,
    "aac": _aac,
    "opus": _opus,
    PREVIEW.name: _preview,
}
