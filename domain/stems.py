"""Stems as files: what they are called, where their companions stand, what was measured.

A wanted output is a stem of the model, or ``no_<stem>``: the song without it (mix-minus).
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

MINUS = "no_"


class StemFile(Struct, frozen=True):
    """A finished stem in storage. peak: largest absolute sample before encoding."""

    name: str
    key: str
    bytes: int
    media_type: str
    peak: float = 0.0


class StoredStem(StemFile, frozen=True, omit_defaults=True):
    """A stem with what was measured of it.

    samples: per channel, as decoding the file gives them. over: samples that lay over full scale
    before the common gain. silence: share of the song (0..1) below -60 dBFS. preview_bytes: of
    the low-rate preview that stands beside it, with the waveform; 0 when there are none.
    """

    samples: int = 0
    over: int = 0
    silence: float = 0.0
    preview_bytes: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """All objects that belong to it."""
        if not self.preview_bytes:
            return (self.key,)
        return self.key, preview_key(self.key), waveform_key(self.key)

    @property
    def file(self) -> StemFile:
        """The file alone."""
        return StemFile(self.name, self.key, self.bytes, self.media_type, self.peak)


def as_stored(file: StemFile, known: StoredStem | None) -> StoredStem:
    """The file as it was stored; of jobs from before that was recorded, what is known of it."""
    if known is not None and known.key == file.key:
        return known
    return StoredStem(**msgspec.structs.asdict(file))


def preview_key(key: str) -> str:
    """Where the preview of the stem at ``key`` stands."""
    return f"{key.rpartition('.')[0]}.preview.mp3"


def waveform_key(key: str) -> str:
    """Where the waveform of the stem at ``key`` stands."""
    return f"{key.rpartition('.')[0]}.waveform.json"


def without(stem: str) -> str:
    """The name of the song without that stem."""
    return MINUS + stem


def outputs(stems: tuple[str, ...]) -> tuple[str, ...]:
    """Everything that a model with those stems can deliver, its stems first."""
    return tuple(dict.fromkeys((*stems, *(without(stem) for stem in stems))))
