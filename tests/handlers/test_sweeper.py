"""Lost messages ring again; dead ones end their job, and the credits come back."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import pytest
import structlog

from commands import (
    AdjustCredits,
    CompleteSeparation,
    CompleteUpload,
    InitializeUpload,
    RecordProbe,
    RequestSeparation,
    SignUp,
    StartSeparation,
    execute,
)
from commands.dispatch import Command
from domain.asset import ASSET
from domain.audio import Audio
from domain.commit import Meta
from domain.credits import CREDITS
from domain.job import JOB, MAX_ATTEMPTS
from handlers.sweeper import Sweeper
from handlers.sweeper.__main__ import build
from handlers.sweeper.watching import Look, Watch
from infra.bootstrap import Application
from infra.event_store.importer import Importer
from infra.operations import Progress
from projections import JOBS_VIEW
from projections.doorbell import envelope, parse, ring
from projections.leveling import level
from tests.world import World

HOUR = 3_600_000


@pytest.fixture
def sweeper(application: Application) -> Sweeper:
    """One upload that is probed, one that is not, and a queued job; nothing was delivered."""
    do(application, SignUp("usr", "development", "ann@example.com"))
    for asset in ("ast_ready", "ast_new"):
        size = (1000, 8 << 20, "key", "up")
        do(application, InitializeUpload("usr", asset, "a.mp3", "audio/mpeg", *size))
        do(application, CompleteUpload("usr", asset, 1000, "etag"))
    do(application, RecordProbe("ast_ready", Audio(441000, 44100, 2), "mp3", "mp3"))
    do(application, RequestSeparation("usr", "job_a", "ast_ready", "spleeter-2stems", "flac"))
    project(application)
    return build(application, structlog.get_logger())


def do(application: Application, command: Command) -> None:
    execute(application.context, command, Meta(application.ids.fresh("cmd"), "test"))


def project(application: Application) -> None:
    level(application.operating, application.clock.now)


def rung(application: Application, queue: str, wait: int = 1) -> list[str]:
    return [parse(m.body).stream for m in application.queue(queue).receive(10, wait=wait)]


def test_waiting_work_whose_message_was_lost_rings_again(
    application: Application, sweeper: Sweeper
) -> None:
    time.sleep(0.05)
    assert sweeper.sweep(grace=20) == 2
    assert sweeper.sweep(grace=20) == 0  # not again so soon
    assert rung(application, "short") == ["job-job_a"]
    assert rung(application, "probe") == ["asset-ast_new"]


def test_a_long_song_rings_in_its_own_lane(application: Application, sweeper: Sweeper) -> None:
    do(
        application,
        InitializeUpload("usr", "ast_long", "b.mp3", "audio/mpeg", 9, 8 << 20, "k", "u"),
    )
    do(application, CompleteUpload("usr", "ast_long", 1000, "etag"))
    do(application, RecordProbe("ast_long", Audio(901 * 8000, 8000, 1), "mp3", "mp3"))
    do(application, AdjustCredits("usr", 1000, "for the test", "promotion"))
    do(application, RequestSeparation("usr", "job_b", "ast_long", "spleeter-2stems", "flac"))
    project(application)
    time.sleep(0.05)
    sweeper.sweep(grace=20)
    assert rung(application, "long") == ["job-job_b"]
    assert rung(application, "short") == ["job-job_a"]


def test_work_that_has_not_waited_long_is_left_alone(sweeper: Sweeper) -> None:
    assert sweeper.sweep() == 0


def report(application: Application, beat: int, attempt: int = 1) -> None:
    application.operations.report("job_a", Progress(attempt, "w", "decode", 0.5, beat))


def started(application: Application) -> None:
    do(application, StartSeparation("job_a", "w"))
    project(application)


@pytest.mark.parametrize("skew", [-5 * HOUR, 0, 5 * HOUR])
def test_a_silent_job_rings_and_a_living_one_does_not(
    application: Application, sweeper: Sweeper, skew: int
) -> None:
    """However far the worker's clock is from the sweeper's."""
    started(application)
    beat = application.clock.now() + skew
    for _ in range(3):
        beat += 1000
        report(application, beat)
        sweeper.sweep(grace=40)
        assert rung(application, "short", wait=0) == []
        time.sleep(0.05)
    sweeper.sweep(grace=40)  # the same beat for longer than the grace
    assert rung(application, "short") == ["job-job_a"]


def test_a_job_whose_attempt_is_over_rings_at_once(
    application: Application, sweeper: Sweeper
) -> None:
    started(application)
    report(application, 0)
    sweeper.sweep()
    assert rung(application, "short") == ["job-job_a"]


def test_after_a_killed_stack_running_jobs_ring_at_once(
    application: Application, sweeper: Sweeper
) -> None:
    started(application)
    report(application, application.clock.now() + 5 * HOUR)
    sweeper.sweep(grace=0)
    assert rung(application, "short") == ["job-job_a"]


def test_the_sweepers_own_clock_may_be_set_back(application: Application) -> None:
    clock = World().clock
    watch = Watch(application.operations, clock)
    report(application, 1)
    assert watch.look("job-job_a", 1) == Look(0, False)
    clock.time += 30_000
    assert watch.look("job-job_a", 1) == Look(30_000, False)
    clock.time -= 5 * HOUR
    assert watch.look("job-job_a", 1) == Look(0, False)
    clock.time += 10_000
    assert watch.look("job-job_a", 1) == Look(10_000, False)
    report(application, 2)
    assert watch.look("job-job_a", 1) == Look(0, True)


def test_a_dead_job_ends_and_its_credits_come_back(
    application: Application, sweeper: Sweeper
) -> None:
    (requested,) = application.store.read("job-job_a")
    application.queue("separation_dlq").send(envelope(ring(requested)))
    application.queue("separation_dlq").send("not a doorbell at all")
    sweeper.sweep()
    state = application.store.load(JOB, "job-job_a").state
    assert state.status == "failed"
    account = application.store.load(CREDITS, "credits-usr").state
    assert (account.reserved, account.available(0)) == (0, 600)
    assert application.queue("separation_dlq").depth() == 0
    sweeper.sweep()
    assert application.store.load(JOB, "job-job_a").version == 2


def test_a_dead_duplicate_does_not_end_a_living_job(
    application: Application, sweeper: Sweeper
) -> None:
    (requested,) = application.store.read("job-job_a")
    started(application)
    report(application, 1)
    dead = application.queue("separation_dlq")
    dead.send(envelope(ring(requested)))
    sweeper.sweep()  # the first look tells nothing, so the letter stays
    assert application.store.load(JOB, "job-job_a").state.status == "running"
    assert dead.depth() == 1
    report(application, 2)
    dead.send(envelope(ring(requested)))
    sweeper.sweep()
    assert application.store.load(JOB, "job-job_a").state.status == "running"
    assert dead.depth() == 1  # the first letter, which is still invisible


def test_a_dead_letter_ends_a_job_whose_worker_is_silent(
    application: Application, sweeper: Sweeper
) -> None:
    (requested,) = application.store.read("job-job_a")
    started(application)
    report(application, application.clock.now() + 5 * HOUR)
    impatient = replace(sweeper, stale=50)
    impatient.sweep()
    time.sleep(0.06)
    application.queue("separation_dlq").send(envelope(ring(requested)))
    impatient.sweep()
    assert application.store.load(JOB, "job-job_a").state.status == "failed"


def test_a_dead_probe_rejects_its_upload(application: Application, sweeper: Sweeper) -> None:
    *_, completed = application.store.read("asset-ast_new")
    application.queue("probe_dlq").send(envelope(ring(completed)))
    sweeper.sweep()
    state = application.store.load(ASSET, "asset-ast_new").state
    assert (state.status, state.failure) == ("rejected", "probe_failed")


def test_a_row_that_lost_its_last_message_is_caught_up_and_not_rung(
    application: Application, sweeper: Sweeper
) -> None:
    do(application, StartSeparation("job_a", "w"))
    project(application)
    do(application, CompleteSeparation("job_a", 1, (), 0.0))  # and nobody hears of it
    time.sleep(0.01)
    sweeper.sweep(grace=5)
    assert rung(application, "short") == []
    head = application.reading.rows.head("jobs@1", "job-job_a")
    assert head is not None
    assert JOBS_VIEW.read(head).status == "completed"


def test_imported_work_sleeps(application: Application, sweeper: Sweeper) -> None:
    (requested,) = application.store.read("job-job_a")
    moved = msgspec.structs.replace(requested, stream="job-job_moved", peers=()).sealed()
    importer = Importer(application.store, "import")
    importer.add(moved, "line 1")
    importer.flush()
    project(application)
    sweeper.sweep(grace=0)
    assert rung(application, "short") == ["job-job_a"]


def test_a_job_that_kills_its_workers_ends(application: Application) -> None:
    do(application, SignUp("usr", "development", "ann@example.com"))
    size = (1000, 8 << 20, "key", "up")
    do(application, InitializeUpload("usr", "ast", "a.mp3", "audio/mpeg", *size))
    do(application, CompleteUpload("usr", "ast", 1000, "etag"))
    do(application, RecordProbe("ast", Audio(441000, 44100, 2), "mp3", "mp3"))
    do(application, RequestSeparation("usr", "job", "ast", "spleeter-2stems", "flac"))
    for _ in range(12):
        do(application, StartSeparation("job", "w"))
    state = application.store.load(JOB, "job-job").state
    assert (state.status, state.attempt) == ("failed", MAX_ATTEMPTS)
    assert application.store.load(CREDITS, "credits-usr").state.reserved == 0


def test_a_dead_letter_stays_while_its_job_cannot_be_ended(
    application: Application, sweeper: Sweeper
) -> None:
    """Whatever breaks, foreseen or not: the credits are still held, so the letter must stay."""
    (requested,) = application.store.read("job-job_a")
    application.queue("separation_dlq").send(envelope(ring(requested)))
    broken = msgspec.structs.replace(application.context, store=None)
    replace(sweeper, context=broken).sweep()
    assert application.queue("separation_dlq").depth() == 1
    assert application.store.load(JOB, "job-job_a").state.status == "queued"
