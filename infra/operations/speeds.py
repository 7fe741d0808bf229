"""How fast each model really is here, as workers measure it; for estimates of when a job ends.

Kept as an exponentially weighted mean. What counts is the time that a second of audio takes (the
mean of that, unlike the mean of speeds, gives the right total), and a song weighs as much as it is
long: after AUDIO_SECONDS of audio an old value counts for 1/e. How much audio a value stands on is
kept with it, or the first song, a click of a hundredth of a second, would be believed for an hour.
"""

from __future__ import annotations

import math
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import SplitSoundError
from infra.operations.table import OperationalTable

AUDIO_SECONDS = 600.0
# What a job takes whatever its length would be taken for the model's work in a shorter song.
_LEAST_SECONDS = 1.0
# Of a new load time; the first ones read a cold disk, later ones need not.
_LOAD_WEIGHT = 0.3
_PARTITION = "speed"


class Speed(Struct, frozen=True):
    """Of one model; None while nobody has measured it.

    cost: seconds that a second of audio takes, from the claim of the job to its end, without
    loading the model. load: seconds until the model is in memory. audio: seconds that the cost was
    measured with, older ones counting less.
    """

    cost: float | None = None
    load: float | None = None
    audio: float = 0.0

    def with_song(self, audio_seconds: float, wall_seconds: float) -> Speed:
        """What is known after one more song."""
        older = self.audio * math.exp(-audio_seconds / AUDIO_SECONDS)
        audio = older + audio_seconds
        cost = (older * (self.cost or 0.0) + wall_seconds) / audio
        return replace(self, cost=cost, audio=audio)


class Speeds:
    """In the operational table. A measurement that cannot be written is lost, and one of two that
    are written at the same moment: the next ones mend it.
    """

    def __init__(self, table: OperationalTable) -> None:
        self._table = table

    def note(self, model: str, audio_seconds: float, wall_seconds: float) -> None:
        """A job with so much audio took so long, loading the model not counted."""
        if audio_seconds <= 0 or wall_seconds <= 0:
            return
        counted = max(audio_seconds, _LEAST_SECONDS)
        with suppress(SplitSoundError):
            self._table.put(_PARTITION, model, self._of(model).with_song(counted, wall_seconds))

    def note_load(self, model: str, seconds: float) -> None:
        """It took so long to bring the model into memory."""
        with suppress(SplitSoundError):
            known = self._of(model)
            load = _mean(known.load, seconds, _LOAD_WEIGHT)
            self._table.put(_PARTITION, model, replace(known, load=load))

    def all(self) -> dict[str, Speed]:
        """By model. Raises Unavailable."""
        return dict(self._table.query(_PARTITION, Speed))

    def _of(self, model: str) -> Speed:
        return self._table.get(_PARTITION, model, Speed) or Speed()


def _mean(old: float | None, new: float, weight: float) -> float:
    return new if old is None else old + weight * (new - old)
