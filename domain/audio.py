"""What we know of a piece of audio, and which formats can carry it unchanged."""

from __future__ import annotations

from msgspec import Struct

from domain.errors import UnsupportedFormat


class Audio(Struct, frozen=True):
    """Decoded audio as measured, never as a header claims.

    samples: per channel; rate: Hz; channels: after the downmix (1 or 2).
    """

    samples: int
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.rate


class Format(Struct, frozen=True):
    """An output format. max_rate: the highest sampling rate it carries, in Hz.

    rates: the only ones it carries, all up to max_rate where empty. lossless: decoding gives the
    encoded samples again. floating: carries samples over full scale, so it needs no gain.
    """

    name: str
    extension: str
    media_type: str
    max_rate: int
    rates: tuple[int, ...] = ()
    lossless: bool = True
    floating: bool = False


_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_WAV_RATE = 4_294_967_295

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("flac", "flac", "audio/flac", 655_350),
        Format("wav", "wav", "audio/wav", _WAV_RATE),
        Format("wav16", "wav", "audio/wav", _WAV_RATE),
        Format("wav32f", "wav", "audio/wav", _WAV_RATE, floating=True),
        Format("mp3", "mp3", "audio/mpeg", 48_000, _MPEG_RATES, lossless=False),
        Format("aac", "m4a", "audio/mp4", 96_000, (*_MPEG_RATES, 64000, 88200, 96000), False),
        # Opus always plays at 48 kHz; a song at another rate is resampled for it.
        Format("opus", "opus", "audio/ogg", 48_000, lossless=False),
    )
}
"""What stems can be delivered as; FLAC and ``wav`` carry 24 bits, wav16 16, wav32f floats."""


def format_for(name: str, rate: int) -> Format:
    """The named format, if it carries audio at ``rate`` Hz without losing any of its band.

    Raises UnsupportedFormat: stems keep the source's rate, always.
    """
    chosen = FORMATS.get(name)
    if chosen is None:
        raise UnsupportedFormat(f"No format {name!r}; choose one of {', '.join(FORMATS)}.")
    if rate > chosen.max_rate or (chosen.rates and rate not in chosen.rates):
        raise UnsupportedFormat(
            f"{name} cannot carry {rate} Hz audio and stems keep the rate of the song; "
            "choose flac or wav."
        )
    return chosen


class Cancelled(Exception):
    """Work on audio stopped because its ``cancelled()`` answered true; nothing is wrong."""
