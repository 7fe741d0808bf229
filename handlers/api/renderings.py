"""Shapes that several routes share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta as Rule
from msgspec import Struct

from domain.asset import ABORTED, READY, REJECTED, UPLOADED, UPLOADING
from domain.audio import Audio

AssetStatus = Annotated[
    str, Rule(extra_json_schema={"enum": [UPLOADING, UPLOADED, READY, REJECTED, ABORTED]})
]

Moment = Annotated[datetime, Rule(tz=True)]
"""A point in time; ISO 8601 in UTC."""


class Failure(Struct, frozen=True):
    """Why something ended badly. code: for programs; detail: for people."""

    code: str
    detail: str


class AudioFacts(Struct, frozen=True):
    """Decoded audio as measured. samples: per channel; rate: Hz."""

    samples: int
    rate: int
    channels: int
    seconds: float


def moment(milliseconds: int) -> datetime:
    """A point in time, rendered as ISO 8601 in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """The same for times that may not have come."""
    return moment(milliseconds) if milliseconds else None


def audio_facts(audio: Audio | None) -> AudioFacts | None:
    """What a probe measured, once it has."""
    if audio is None:
        return None
    return AudioFacts(audio.samples, audio.rate, audio.channels, round(audio.seconds, 3))
