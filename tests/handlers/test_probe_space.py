"""A probe asks for room like a job: an upload must not fill the disk under songs in progress."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from commands import CompleteUpload, InitializeUpload, SignUp, execute
from commands.dispatch import Command
from domain.asset import ASSET
from domain.commit import Meta
from domain.errors import JobError
from handlers.worker.probe import Probe
from handlers.worker.workplace import Workplace
from infra.bootstrap import Application
from infra.queue import Message
from projections.doorbell import envelope, ring
from tests.handlers.worker.studio import song
from tests.infra.media_files import float_wav


def _do(application: Application, command: Command) -> None:
    execute(application.context, command, Meta(application.ids.fresh("cmd"), "usr"))


@pytest.fixture
async def uploaded(application: Application, tmp_path: Path) -> Message:
    """A song in storage that waits for its probe."""
    path = float_wav(tmp_path / "song.wav", song(), 44_100)
    size = path.stat().st_size
    async with application.objects:
        await application.objects.upload(path, "key", "audio/wav")
    _do(application, SignUp("usr", "development", "ann@example.com"))
    _do(
        application,
        InitializeUpload("usr", "ast", "a.wav", "audio/wav", size, 8 << 20, "key", "up"),
    )
    _do(application, CompleteUpload("usr", "ast", size, "etag"))
    (*_, completed) = application.store.read("asset-ast")
    queue = application.queue("probe")
    queue.send(envelope(ring(completed)))
    (received,) = queue.receive(1, wait=2)
    return received


async def test_an_upload_that_does_not_fit_comes_back_and_is_not_rejected(
    application: Application, uploaded: Message, tmp_path: Path
) -> None:
    workplace = Workplace(tmp_path / "work")
    probe = Probe(application, "w:1", workplace, structlog.get_logger())
    taken = workplace.space.free - 1000
    others = workplace.space.reserved(taken, tmp_path / "nowhere", lambda: False)
    async with application.objects:
        async with others:
            waiting = asyncio.create_task(probe.handle(uploaded))
            await asyncio.sleep(0.5)
            assert not waiting.done()
            assert not list(workplace.root.glob("*/probe-*"))  # nothing is fetched meanwhile
        assert await waiting
    assert application.store.load(ASSET, "asset-ast").state.status == "ready"


async def test_a_disk_that_is_full_of_something_else_leaves_the_upload_to_others(
    application: Application,
    uploaded: Message,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workplace = Workplace(tmp_path / "work")
    monkeypatch.setattr("handlers.worker.space.SPARE_BYTES", 10**15)
    probe = Probe(application, "w:1", workplace, structlog.get_logger())
    async with application.objects:
        with pytest.raises(JobError, match="MB of disk"):
            await probe.handle(uploaded)
    assert application.store.load(ASSET, "asset-ast").state.status == "uploaded"
