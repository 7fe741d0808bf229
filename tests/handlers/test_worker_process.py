"""A whole worker process: what it serves, that it says so, and that it goes when it has to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from commands import (
    CompleteUpload,
    InitializeUpload,
    RecordProbe,
    RequestSeparation,
    SignUp,
    execute,
)
from domain.asset import ASSET
from domain.audio import Audio
from domain.commit import Meta
from domain.job import JOB
from handlers.relay import Relay
from infra import demo_song
from infra.bootstrap import Application
from infra.local.ports import free_port
from infra.operations import WorkerPulse
from infra.settings import to_environment
from projections.doorbell import envelope, ring
from tests.conftest import Cloud
from tests.handlers.test_relay import records
from tests.handlers.test_spot import Metadata, metadata

__all__ = ["metadata"]

SECONDS = 20

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(application: Application, cloud: Cloud, tmp_path: Path) -> Iterator[Start]:
    """Start a worker with such settings."""
    started: list[subprocess.Popen[bytes]] = []

    def process(**settings: str) -> subprocess.Popen[bytes]:
        tuning = {f"SPLITSOUND_{name.upper()}": value for name, value in settings.items()}
        environment = {
            **cloud.environment(), **to_environment(application.settings),
            "SPLITSOUND_WORK_DIRECTORY": str(tmp_path / "work"),
            "SPLITSOUND_POLL_SECONDS": "1", **tuning,
        }  # fmt: skip
        log = (tmp_path / "worker.log").open("ab")
        command = [sys.executable, "-m", "handlers.worker"]
        started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield process
    for each in started:
        each.kill()
        each.wait()


def pulse(application: Application, wanted: Callable[[WorkerPulse], bool]) -> WorkerPulse:
    """The only worker's pulse, once it is so."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        for each in application.pulses.workers():
            if wanted(each):
                return each
        time.sleep(0.1)
    raise AssertionError(application.pulses.workers())


def test_it_serves_its_lanes_shows_itself_and_ends_at_sigterm(
    application: Application, start: Start
) -> None:
    port = free_port(None)
    process = start(lanes="probe,gpu-long", metrics_port=str(port))
    alive = pulse(application, lambda p: bool(p.lanes))
    assert (alive.lanes, alive.busy) == (("probe", "gpu-long"), ())
    shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'splitsound_worker_jobs_running{lane="gpu-long"} 0.0' in shown
    context = application.context
    size = (1000, 8 << 20, "no/such/key", "up")
    execute(context, SignUp("usr", "development", "ann@example.com"), Meta("c1", "test"))
    upload = InitializeUpload("usr", "ast", "a.mp3", "audio/mpeg", *size)
    execute(context, upload, Meta("c2", "test"))
    execute(context, CompleteUpload("usr", "ast", 1000, "etag"), Meta("c3", "test"))
    *_, completed = application.store.read("asset-ast")
    application.queue("probe").send(envelope(ring(completed)))
    give_up = time.monotonic() + 30
    while application.store.load(ASSET, "asset-ast").state.status == "uploaded":
        assert time.monotonic() < give_up
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert pulse(application, lambda p: not p.lanes).process == alive.process


def requested(application: Application, song: Path) -> None:
    """A queued job on a song that stands in storage, and its message."""
    context, bucket = application.context, application.settings.media_bucket
    size = song.stat().st_size
    application.client("s3").put_object(Bucket=bucket, Key="song", Body=song.read_bytes())
    for number, command in enumerate((
        SignUp("usr", "development", "ann@example.com"),
        InitializeUpload("usr", "ast", "a.wav", "audio/wav", size, 8 << 20, "song", "up"),
        CompleteUpload("usr", "ast", size, "etag"),
        RecordProbe("ast", Audio(SECONDS * 44_100, 44_100, 2), "wav", "pcm_s16le"),
        RequestSeparation("usr", "job", "ast", "spleeter-2stems", "flac"),
    )):  # fmt: skip
        execute(context, command, Meta(f"cmd_{number}", "test"))
    (commit,) = application.store.read("job-job")
    application.queue("short").send(envelope(ring(commit)))


def test_what_cannot_end_in_the_grace_goes_on_elsewhere_at_once(
    application: Application, start: Start, tmp_path: Path
) -> None:
    demo_song.write(tmp_path / "song.wav", SECONDS)
    requested(application, tmp_path / "song.wav")
    first = start(lanes="short", drain_seconds="0")
    give_up = time.monotonic() + 60
    while (seen := application.operations.progress("job")) is None or seen.stage != "separate":
        assert time.monotonic() < give_up, seen
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    signalled = time.monotonic()
    second = start(lanes="short")
    assert first.wait(20) == 0
    # The commit that hands the job back wakes the other one; the first message is gone.
    Relay(application.bus)({"Records": records(application)[-1:]})
    while (state := application.store.load(JOB, "job-job").state).status != "completed":
        assert second.poll() is None
        assert time.monotonic() < signalled + 50, state
        time.sleep(0.1)
    assert (state.attempt, state.fresh_at) == (2, 1)


def test_it_goes_before_its_instance_does(
    application: Application, start: Start, metadata: Metadata
) -> None:
    process = start(metadata_url=metadata.url, lanes="short")
    pulse(application, lambda p: bool(p.lanes))
    metadata.interrupt(120)
    assert process.wait(20) == 0


def test_a_lane_that_is_not_there_is_refused(start: Start, tmp_path: Path) -> None:
    assert start(lanes="fast").wait(60) == 1
    assert (
        "SPLITSOUND_LANES has no lane fast; name some of probe, short"
        in (tmp_path / "worker.log").read_text()
    )


def test_a_store_of_models_that_is_broken_is_told_at_the_start(
    start: Start, tmp_path: Path
) -> None:
    worker = start(models=str(tmp_path / "nothing"))
    assert worker.wait(30) == 1
    assert b"SPLITSOUND_MODELS is set and" in (tmp_path / "worker.log").read_bytes()
