"""A worker leaves the jobs of a paused model alone, and takes what an operator requeued."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from commands import (
    CompleteUpload,
    InitializeUpload,
    Pause,
    RecordProbe,
    RequestSeparation,
    RequeueSeparation,
    Resume,
    SignUp,
    StartSeparation,
    execute,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import Meta
from domain.job import JOB, JobState
from handlers.relay import Relay
from handlers.worker.separation import Separation
from handlers.worker.workplace import Workplace
from infra.bootstrap import Application
from infra.queue import Message
from projections.doorbell import envelope, ring
from tests.handlers.switches import settle
from tests.handlers.test_relay import received, records


@pytest.fixture
def parts(application: Application) -> Application:
    """A probed upload and a queued job; nothing stands in storage."""
    do(application, SignUp("usr", "development", "ann@example.com"))
    size = (1000, 8 << 20, "key", "up")
    do(application, InitializeUpload("usr", "ast", "a.mp3", "audio/mpeg", *size))
    do(application, CompleteUpload("usr", "ast", 1000, "etag"))
    do(application, RecordProbe("ast", Audio(441000, 44100, 2), "mp3", "mp3"))
    do(application, RequestSeparation("usr", "job", "ast", "spleeter-2stems", "flac"))
    return application


def do(application: Application, command: Command) -> None:
    execute(application.context, command, Meta(application.ids.fresh("cmd"), "operator"))


def job(application: Application) -> JobState:
    state: JobState = application.store.load(JOB, "job-job").state
    return state


def message(application: Application) -> Message:
    """The job's doorbell, delivered by the queue."""
    (requested, *_) = application.store.read("job-job")
    queue = application.queue("short")
    queue.send(envelope(ring(requested)))
    (received,) = queue.receive(1, wait=2)
    return received


async def handle(application: Application, tmp_path: Path) -> bool:
    workplace = Workplace(tmp_path)
    worker = Separation(application, "w:1", workplace, structlog.get_logger(), "short")
    async with application.objects:
        return await worker.handle(message(application))


async def test_a_job_of_a_paused_model_stays_queued_until_the_resume(
    parts: Application, tmp_path: Path
) -> None:
    do(parts, Pause("model:spleeter-2stems", "too slow today"))
    settle(parts)
    assert await handle(parts, tmp_path)
    assert (job(parts).status, job(parts).attempt) == ("queued", 0)
    do(parts, Resume("model:spleeter-2stems", "quick again"))
    settle(parts)
    assert await handle(parts, tmp_path)
    assert job(parts).attempt == 1  # claimed; it fails, since its file is not in storage
    assert job(parts).status == "failed"


async def test_intake_that_is_paused_does_not_stop_what_was_accepted(
    parts: Application, tmp_path: Path
) -> None:
    do(parts, Pause("intake", "moving house"))
    settle(parts)
    assert await handle(parts, tmp_path)
    assert job(parts).attempt == 1


def test_the_commit_of_a_requeue_wakes_a_worker(parts: Application) -> None:
    """Through the relay, the bus and the rule that template.yaml declares."""
    do(parts, StartSeparation("job", "w:1"))
    do(parts, RequeueSeparation("job", "it hangs"))
    Relay(parts.bus)({"Records": records(parts)})
    bells = received(parts.queue("short"), 2)
    assert {bell.types for bell in bells} == {("SeparationRequested",), ("SeparationRequeued",)}
    assert {bell.stream for bell in bells} == {"job-job"}
