"""Files of many parts to the store and back; what fails or is cancelled leaves nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from botocore.config import Config

from domain.errors import NotFound, Unavailable
from handlers.operating.tidying import media_bucket
from infra import objects
from infra.bootstrap import Application
from infra.media_bucket import MediaBucket
from infra.objects import Objects
from infra.transfers import AT_ONCE, PART_BYTES
from tests.conftest import Cloud
from tests.handlers.worker.gate import Gate, Rule

KEY = "user_usr/jobs/job/output/1/vocals.flac"
TYPE = "audio/flac"


@pytest.fixture
async def gate(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    monkeypatch.setattr(objects, "S3_CONFIG", objects.S3_CONFIG.merge(once))
    async with Gate(cloud.access.endpoint) as made:
        yield made


@pytest.fixture
def bucket(application: Application) -> MediaBucket:
    """Past the gate, which runs in the event loop of the test."""
    return media_bucket(application)


@pytest.fixture
async def store(
    application: Application, bucket: MediaBucket, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Objects]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gate.url)
    async with application.objects as opened:
        yield opened


def file(directory: Path, size: int) -> Path:
    path = directory / "source"
    path.write_bytes(np.random.default_rng(1).bytes(size))
    return path


@pytest.mark.parametrize(
    "size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, (AT_ONCE + 2) * PART_BYTES - 7]
)
async def test_there_and_back(
    bucket: MediaBucket, store: Objects, tmp_path: Path, size: int
) -> None:
    source, target = file(tmp_path, size), tmp_path / "target"
    await store.upload(source, KEY, TYPE)
    await store.download(KEY, target)
    assert target.read_bytes() == source.read_bytes()
    assert [(each.key, each.size) for each in bucket.objects()] == [(KEY, size)]
    assert list(bucket.uploads()) == []


async def test_what_is_not_there(store: Objects, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await store.download(KEY, tmp_path / "target")


@pytest.mark.parametrize("action", ["refuse", "cut"])
async def test_a_part_that_fails_ends_the_transfer(
    bucket: MediaBucket, gate: Gate, store: Objects, tmp_path: Path, action: str
) -> None:
    source = file(tmp_path, 5 * PART_BYTES)
    await store.upload(source, KEY, TYPE)
    gate.rules = [Rule("GET", "vocals"), Rule("GET", "vocals", action, times=1)]
    gate.rules[0].times = 2
    with pytest.raises(Unavailable):
        await store.download(KEY, tmp_path / "target")
    if action == "refuse":
        gate.rules = [Rule("PUT", "partNumber=4", action)]
        with pytest.raises(Unavailable):
            await store.upload(source, KEY + "2", TYPE)
        assert list(bucket.uploads()) == []


async def test_nothing_goes_on_behind_a_cancel(
    bucket: MediaBucket, gate: Gate, store: Objects, tmp_path: Path
) -> None:
    gate.rules = [Rule("PUT", "partNumber=2", "hang")]
    source = file(tmp_path, 8 * PART_BYTES)
    before = asyncio.all_tasks()
    running = asyncio.create_task(store.upload(source, KEY, TYPE))
    await asyncio.wait_for(gate.reached.wait(), 30)
    begun = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun < 1.5
    assert list(bucket.uploads()) == []
    left = {t for t in asyncio.all_tasks() - before if "Gate" not in repr(t.get_coro())}
    left = {t for t in left if "_serve" not in repr(t) and "_pump" not in repr(t)}
    assert left == set()
