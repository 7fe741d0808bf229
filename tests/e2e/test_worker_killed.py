"""A worker killed with SIGKILL at any point: the job is taken over, finished, charged once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.job import STAGES
from infra.local.stack import LocalStack, adopted
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT
from tests.e2e.killing import Nursery
from tests.e2e.surviving import WISHES, Scene, check, seed, storm, write_song


@pytest.fixture(scope="module")
def idle_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack without a worker: the tests bring their own."""
    with LocalStack(tmp_path_factory.mktemp("idle"), workers=0, settings=IMPATIENT) as running:
        yield running


@pytest.fixture(scope="module")
def ready(idle_stack: LocalStack, song: bytes) -> tuple[Browser, str]:
    """A user and a probed upload."""
    ann = Browser(idle_stack.api_url, "ann@example.com")
    asset = ann.upload(song)
    worker = start_worker(idle_stack, "handlers.worker")
    ann.probed(asset)
    kill(worker)
    return ann, asset


def start_worker(stack: LocalStack, *module: str) -> subprocess.Popen[bytes]:
    log = (stack.data / "logs" / "worker-of-test.log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-m", *module], env=stack.environment, stdout=log, stderr=log
    )


def kill(worker: subprocess.Popen[bytes]) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()


# The storm of test_worker_killed_often comes by every point, too.
SOON = ("separate", "before-commit", "after-commit")
LATER = [pytest.param(stage, marks=pytest.mark.long) for stage in STAGES if stage not in SOON]


@pytest.mark.parametrize("point", [*SOON, *LATER])
def test_another_worker_takes_over(
    idle_stack: LocalStack, ready: tuple[Browser, str], tmp_path: Path, point: str
) -> None:
    ann, asset = ready
    before = ann.get("/v1/credits")["captured"]
    marker = tmp_path / "reached"
    first = start_worker(idle_stack, "tests.e2e.stalled_worker", point, str(marker))
    job = ann.separate(asset)
    wait_for(marker)
    kill(first)
    second = start_worker(idle_stack, "handlers.worker")
    try:
        ended = ann.ended(job)
    finally:
        kill(second)
    assert ended["status"] == "completed", ended
    assert ended["attempt"] == (1 if point == "after-commit" else 2)
    account = ann.get("/v1/credits")
    assert (account["captured"] - before, account["reserved"]) == (6, 0)
    for stem in ended["stems"]:
        assert ann.download(stem["url"])[:4] == b"fLaC"


def wait_for(marker: Path) -> None:
    give_up = time.monotonic() + 60
    while not marker.exists():
        assert time.monotonic() < give_up, "the worker never came to that point"
        time.sleep(0.05)


@pytest.mark.long
def test_a_dozen_more_at_random_moments(idle_stack: LocalStack, tmp_path: Path) -> None:
    with adopted(idle_stack.environment):
        song = write_song(tmp_path / "loud.wav", 0.9)
        scene = Scene(idle_stack, [song], WISHES[:1])
        with Nursery(idle_stack, tmp_path) as warm:
            scene.rehearse(warm)
            killing = storm(scene, warm, workers=3, kills=12, seed=seed())
        check(scene, tmp_path)
    assert len(killing.hit) >= 3
