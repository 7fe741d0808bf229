from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from infra.separators import Request
from infra.separators.replicate import Memory, Publish
from infra.separators.replicate.offers import parse
from infra.separators.replicate.separator import Hosted
from infra.separators.replicate.timing import Patience, Timing
from tests.infra.replicate.provider import TOKEN, VERSION, Provider

Block = NDArray[np.float32]

SAM = {"template": "sam-audio", "name": "sam", "version": VERSION, "credits_per_second": "4"}
BAND = {
    "name": "band",
    "title": "Band",
    "kind": "stems",
    "version": VERSION,
    "credits_per_second": "2",
    "stems": ["vocals", "drums", "other"],
    "input": {"constants": {"shifts": 1}},
    "output": {"vocals": 0, "drums": 1},
}
START = 1_790_000_000  # seconds since the epoch


class Clock:
    """Time that passes only while somebody sleeps. slept: all the pauses, in seconds."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self.wakes: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept.append(seconds)
        self.wakes()

    @property
    def timing(self) -> Timing:
        return Timing(self.sleep, lambda: self.time, self.now, lambda: 1.0)

    def now(self) -> float:
        return START + self.time


class Notes(dict[str, str]):
    """A memory."""

    def put(self, key: str, prediction_id: str) -> None:
        self[key] = prediction_id


class Desk:
    """A provider, a clock, and separators that use them."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.work = directory / "work"
        served = directory / "served"
        served.mkdir()
        self.provider = Provider(served, self.clock.now)
        self.progress: list[float] = []

    def hosted(
        self,
        offer: dict[str, Any] = SAM,
        *,
        publish: Publish | bool | None = True,
        memory: Memory | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        token: str = TOKEN,
    ) -> Hosted:
        (chosen,) = parse(msgspec.json.encode([offer]).decode())
        way = self.provider.publish if publish is True else publish or None
        base, clock = self.provider.base, self.clock
        return Hosted(chosen, token, base, way, self.work, memory, clock.timing, patience)

    def stems(
        self,
        hosted: Hosted,
        song: Block,
        *,
        rate: int = 44_100,
        prompt: str | None = "the dog",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> dict[str, Block]:
        prompt = prompt if hosted.capabilities.takes_prompt else None
        request = Request(rate, song.shape[0], song.shape[1], prompt=prompt)
        chunks = iter(np.array_split(song, 7, axis=1))
        parts = list(hosted.separate(chunks, request, self.progress.append, cancelled))
        for part in parts:
            assert len({block.shape for block in part.values()}) == 1
        names = hosted.capabilities.stems
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in names}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.provider.close()
    assert made.provider.running == [], "a paid prediction was left running"
    assert made.provider.leaks == [], "the token went to the files' host"
    assert not made.work.exists() or not list(made.work.iterdir())


def song(seconds: float = 2.0, rate: int = 44_100, channels: int = 2) -> Block:
    """Sines below 10 kHz, which every resampler on the way keeps."""
    t = np.arange(int(seconds * rate)) / rate
    tones = [(220.0, 0.3), (1760.0, 0.2), (7040.0, 0.1)]
    both = [sum(a * np.sin(2 * np.pi * f * (1 + c / 7) * t) for f, a in tones) for c in (0, 1)]
    return np.array(both[:channels], np.float32)
