"""Hostile files in the worker's hands: every job ends with a clear code and its credits back."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray

from commands import (
    CompleteUpload,
    InitializeUpload,
    RecordProbe,
    RequestSeparation,
    SignUp,
    execute,
)
from commands.dispatch import Command
from domain.asset import ASSET, READY, REJECTED
from domain.audio import Audio
from domain.commit import Meta
from domain.credits import CREDITS
from domain.job import COMPLETED, FAILED, JOB, SeparationFailed
from handlers.worker.probe import Probe
from handlers.worker.separation import Separation
from handlers.worker.workplace import Workplace
from infra.bootstrap import Application
from infra.objects import original_key
from infra.queue import Message
from infra.separators import Request, Separators, Source
from infra.separators.spleeter import SPLEETER_2STEMS
from infra.separators.streaming import Streamed
from projections.doorbell import envelope, ring
from tests.infra.hostile.corpus import generate

Block = NDArray[np.float32]
CLAIMED = Audio(44_100 * 5, 44_100, 2)
CODES = {
    "media_empty", "media_unreadable", "media_too_long", "media_forbidden", "no_audio",
    "ffmpeg_timeout", "ffmpeg_failed", "media_changed",
}  # fmt: skip


class Halves:
    """A network that needs no time: half of the song is the voice."""

    def start(self, _: Request, __: Callable[[], bool]) -> Halves:
        return self

    def push(self, mix: Block) -> Block:
        return mix[None] * np.float32(0.5)

    def finish(self) -> Block:
        return np.zeros((1, 2, 0), np.float32)


class Hands:
    """Uploads, probes and separates, one file after the other, as a worker does."""

    def __init__(self, application: Application, work: Path) -> None:
        self.application = application
        vars(application)["separators"] = Separators(
            [Source(SPLEETER_2STEMS, lambda: Streamed(SPLEETER_2STEMS, Halves()))]
        )
        place, log = Workplace(work), structlog.get_logger()
        self.probe = Probe(application, "w:1", place, log)
        self.separation = Separation(application, "w:1", place, log, "short")
        # A message of these tests came over no queue.
        nowhere = SimpleNamespace(hide=lambda *_: True, delete=lambda *_: None)
        for handler in (self.probe, self.separation):
            vars(handler)["_queue"] = nowhere
        self.do(SignUp("usr", "development", "ann@example.com"))

    def do(self, command: Command) -> None:
        execute(self.application.context, command, Meta(self.application.ids.fresh("cmd"), "test"))

    def message(self, stream: str) -> Message:
        (*_, newest) = self.application.store.read(stream)
        return Message("m", envelope(ring(newest)), "receipt", 1)

    def upload(self, asset: str, path: Path) -> None:
        key, size = original_key("usr", asset), path.stat().st_size
        s3 = self.application.client("s3")
        with path.open("rb") as body:
            s3.put_object(Bucket=self.application.settings.media_bucket, Key=key, Body=body)
        self.do(InitializeUpload("usr", asset, path.name, "", size, 8 << 20, key, "up"))
        self.do(CompleteUpload("usr", asset, size, "etag"))

    def reserved(self) -> tuple[int, int]:
        state = self.application.store.load(CREDITS, "credits-usr").state
        return state.reserved, state.captured


@pytest.fixture
async def hands(application: Application, tmp_path: Path) -> AsyncIterator[Hands]:
    made = Hands(application, tmp_path / "work")
    async with application.objects:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every", [24, pytest.param(2, marks=pytest.mark.long)])
async def test_every_hostile_file_ends_and_nothing_is_charged_for_it(
    hands: Hands, tmp_path: Path, every: int
) -> None:
    (tmp_path / "corpus").mkdir()
    files = generate(tmp_path / "corpus")
    assert len(files) >= 300
    files = files[::every]
    endings: Counter[str] = Counter()
    paid = 0
    for number, path in enumerate(files):
        begun = time.monotonic()
        hands.upload(f"ast_{number}", path)
        endings[await probed(hands, f"ast_{number}")] += 1
        # And as if the probe had been fooled: the job meets the file by itself.
        hands.upload(f"ast_x{number}", path)
        hands.do(RecordProbe(f"ast_x{number}", CLAIMED, "flac", "flac"))
        code = await separated(hands, f"ast_x{number}", f"job_{number}")
        endings[code] += 1
        paid += 5 * (code == COMPLETED)
        assert hands.reserved() == (0, paid), path.name
        assert time.monotonic() - begun < 60, path.name
    assert sum(endings.values()) == 2 * len(files)
    assert endings.keys() >= {"media_unreadable", "media_changed", "ready"}, endings
    assert not [p for p in (tmp_path / "work").rglob("*") if p.is_file()]
    assert not children(), "an ffmpeg outlived its job"


async def probed(hands: Hands, asset: str) -> str:
    assert await hands.probe.handle(hands.message(f"asset-{asset}"))
    state = hands.application.store.load(ASSET, f"asset-{asset}").state
    assert state.status in (READY, REJECTED)
    assert state.status == READY or state.failure in CODES, state
    return "ready" if state.status == READY else str(state.failure)


async def separated(hands: Hands, asset: str, job: str) -> str:
    hands.do(RequestSeparation("usr", job, asset, "spleeter-2stems", "flac"))
    assert await hands.separation.handle(hands.message(f"job-{job}"))
    state = hands.application.store.load(JOB, f"job-{job}").state
    assert state.status in (COMPLETED, FAILED), state
    if state.status == COMPLETED:
        return COMPLETED
    (*_, last) = hands.application.store.read(f"job-{job}")
    failed = JOB.decode(last.events)[-1]
    assert isinstance(failed, SeparationFailed)
    assert failed.code in CODES, failed
    assert failed.detail
    return failed.code


def children() -> list[str]:
    """Commands of this process's children that still run ffmpeg."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == "ffmpeg" and int(rest.split()[1]) == os.getpid():
            found.append(name)
    return found
