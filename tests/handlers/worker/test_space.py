"""No song is begun that could fill the disk; who waits for room gets it when others are done."""

from __future__ import annotations

import asyncio
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from domain.audio import FORMATS, Audio, Cancelled
from domain.errors import JobError, Unavailable
from handlers.worker import space
from handlers.worker.space import SPARE_BYTES, Space, needed

Usage = namedtuple("Usage", "total used free")
MB = 1_000_000


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    """One with 100 MB for songs."""
    usage = Usage(10**9, 0, SPARE_BYTES + 100 * MB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(space, "_POLL_SECONDS", 0.02)
    return Space(tmp_path)


NOWHERE = Path("/nonexistent")


def never() -> bool:
    return False


async def test_room_is_kept_and_given_back(disk: Space) -> None:
    async with disk.reserved(60 * MB, NOWHERE, never):
        assert disk.free == 40 * MB
        async with disk.reserved(40 * MB, NOWHERE, never):
            assert disk.free == 0
    assert disk.free == 100 * MB
    with pytest.raises(ValueError, match="broke"):
        async with disk.reserved(60 * MB, NOWHERE, never):
            raise ValueError("broke")
    assert disk.free == 100 * MB


async def test_a_job_waits_for_another_s_room(disk: Space) -> None:
    order = []

    async def job(name: str, seconds: float) -> None:
        async with disk.reserved(60 * MB, NOWHERE, never):
            order.append(f"{name} in")
            await asyncio.sleep(seconds)
            order.append(f"{name} out")

    await asyncio.gather(job("a", 0.1), job("b", 0))
    assert order == ["a in", "a out", "b in", "b out"]


async def test_a_job_that_never_fits_fails_at_once(disk: Space) -> None:
    with pytest.raises(JobError, match="801 MB of disk, more than the workers have") as caught:
        async with disk.reserved(801 * MB, NOWHERE, never):
            pass
    assert (caught.value.code, caught.value.transient) == ("worker_disk_full", False)


async def test_a_disk_that_others_filled_fails_no_job(disk: Space) -> None:
    """Its message comes back, perhaps to a worker that has room."""
    with pytest.raises(Unavailable, match="no room for the 101 MB"):
        async with disk.reserved(101 * MB, NOWHERE, never, patience=0.05):
            pass


async def test_what_is_written_is_not_counted_twice(disk: Space, tmp_path: Path) -> None:
    async with disk.reserved(60 * MB, tmp_path, never):
        (tmp_path / "master").write_bytes(bytes(10 * MB))
        assert disk.free == 50 * MB


async def test_waiting_ends(disk: Space) -> None:
    async with disk.reserved(60 * MB, NOWHERE, never):
        with pytest.raises(Unavailable):
            async with disk.reserved(60 * MB, NOWHERE, never, patience=0.1):
                pass
        with pytest.raises(Cancelled):
            async with disk.reserved(60 * MB, NOWHERE, lambda: True):
                pass
    assert disk.free == 100 * MB


@pytest.mark.parametrize("name", FORMATS)
def test_needed_room_covers_every_file_that_stands_at_once(name: str) -> None:
    audio, outputs = Audio(44_100 * 60, 44_100, 2), 3
    pcm24, floats = audio.samples * 6, audio.samples * 8
    file = floats if FORMATS[name].floating else pcm24
    preview = 12_000 * 60
    # Worst: FLAC that does not shrink, all files delivered, the zip being written.
    worst = 5 * MB + outputs * (file + preview) + outputs * file + pcm24
    assert needed(audio, outputs, name, 5 * MB, bundle=True) >= worst
    without = needed(audio, outputs, name, 5 * MB, bundle=False)
    assert worst - outputs * file <= without < needed(audio, outputs, name, 5 * MB, bundle=True)
