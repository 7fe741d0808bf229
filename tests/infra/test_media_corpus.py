"""Every hostile file ends in a clear code or in a sane measure, quickly, in little memory."""

from __future__ import annotations

import math
import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from domain.errors import MediaError
from infra import media
from infra.media.sound import Block
from tests.infra.hostile.bases import CANARY, CANARY_TEXT
from tests.infra.hostile.corpus import generate

MAX_SECONDS = 60
TIMEOUT = 20.0
MEMORY = 256 << 20  # bytes; the most that ffmpeg takes for an honest file is about 100 MB
MEASURING = {
    "media_empty", "media_unreadable", "media_too_long", "media_forbidden", "no_audio",
    "ffmpeg_timeout", "ffmpeg_failed",
}  # fmt: skip
POINTERS = ("hls-", "concat-", "dash-", "script-", "sequence-", "glob-")


class Ending(NamedTuple):
    """What became of a file. code: of the refusal, ``ok`` for none; seconds: of the whole run."""

    name: str
    code: str
    said: str
    found: media.Measured | None
    seconds: float
    canary: bool


def examined(path: Path) -> Ending:
    """Measures and, where that succeeds, decodes."""
    begun, found, canary = time.monotonic(), None, False
    code, said = "ok", ""
    try:
        found = media.measure(path, max_seconds=MAX_SECONDS, timeout=TIMEOUT)
        for block in media.blocks(path, audio=found.audio, timeout=TIMEOUT):
            canary = canary or shows_canary(block)
    except MediaError as error:
        code, said = error.code, str(error)
    return Ending(path.name, code, said, found, time.monotonic() - begun, canary)


def shows_canary(block: Block) -> bool:
    """Whether 32 samples in a row are those of the secret sound."""
    known = CANARY[:32].astype(np.float64) / 32_768
    starts = np.flatnonzero(np.abs(block[0] - known[0]) < 1e-4)
    tails = (block[0, at : at + len(known)] for at in starts)
    return any(len(t) == len(known) and np.allclose(t, known, atol=1e-4) for t in tails)


def peak(who: int) -> int:
    """Bytes: the most that this process, or any child that has ended, has held."""
    return resource.getrusage(who).ru_maxrss * 1024


def children() -> set[str]:
    """Process ids of all children."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> list[Ending]:
    folder = tmp_path_factory.mktemp("hostile")
    files = generate(folder)
    others = children()  # an emulator for other tests may run in this process, too
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    own, most = peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(examined, files))
    assert peak(resource.RUSAGE_SELF) < own + (64 << 20)
    # Linux counts for a child also what its parent held when it forked.
    allowed = max(MEMORY, most, peak(resource.RUSAGE_SELF))
    assert peak(resource.RUSAGE_CHILDREN) <= allowed
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before, "files left or touched"
    assert children() <= others, "a child left"
    return made


@pytest.mark.slow
def test_every_file_ends_clearly(endings: list[Ending]) -> None:
    assert len(endings) > 600
    counted = Counter(e.code for e in endings)
    assert set(counted) <= MEASURING | {"ok"}
    assert counted["media_unreadable"] > 200
    assert counted["media_forbidden"] > 45
    assert not counted["ffmpeg_timeout"]
    assert not counted["ffmpeg_failed"], [e for e in endings if e.code == "ffmpeg_failed"]
    late = [(e.name, round(e.seconds, 1)) for e in endings if e.seconds > 2 * TIMEOUT + 5]
    assert not late


@pytest.mark.slow
def test_what_is_measured_is_sane(endings: list[Ending]) -> None:
    measured = [(e.name, e.found) for e in endings if e.found]
    assert len(measured) > 200
    for name, found in measured:
        audio = found.audio
        assert audio.samples > 0, name
        assert 1000 <= audio.rate <= 768_000, name
        assert audio.channels in (1, 2), name
        assert audio.seconds <= MAX_SECONDS, name
        assert abs(found.mean) <= 1000, name
        assert 0 <= found.deviation <= 2000, name
        assert math.isfinite(found.mean + found.deviation), name


@pytest.mark.slow
def test_nothing_outside_was_read(endings: list[Ending]) -> None:
    for ending in endings:
        assert not ending.canary, ending.name
        assert CANARY_TEXT.decode() not in ending.said
        assert "secret" not in ending.said
        assert "/" not in ending.said
        if ending.name.startswith(POINTERS):
            assert ending.code in ("media_forbidden", "media_unreadable", "no_audio"), ending


def test_the_canary_is_recognised() -> None:
    """The control: the secret sound itself would be noticed."""
    sound = np.zeros((1, 2000), np.float32)
    sound[0, 500:1500] = CANARY[:1000] / 32_768
    assert shows_canary(sound)
    sound[0, 510] += 0.1
    assert not shows_canary(sound)
