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
    """An output format. max_rate: the highest sampling rate it carries, in Hz."""

    name: str
    extension: str
    media_type: str
    max_rate: int
    rates: tuple[int, ...] = ()


MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("flac", "flac", "audio/flac", 655_350),
        Format("wav", "wav", "audio/wav", 4_294_967_295),
        Format("mp3", "mp3", "audio/mpeg", 48_000, MP3_RATES),
    )
}


def format_for(name: str, rate: int) -> Format:
    """The named format, if it carries audio at ``rate`` Hz without resampling.

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
