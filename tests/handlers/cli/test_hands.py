"""Hands on the wheel: jobs run again, ended or given back; intake, models, read models shut."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from commands import CompleteSeparation, StartSeparation
from domain.controls import CONTROLS, STREAM
from domain.credits import CREDITS, CreditState
from domain.job import JOB
from domain.stems import StemFile
from infra.bootstrap import Application
from tests.handlers.api.conftest import serving
from tests.handlers.api.people import sign_in
from tests.handlers.cli.operators import WHY, Done, do, some_work, splitsound

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    """One user with one queued job."""
    some_work(application, 1)
    return lambda *arguments: splitsound(capsys, *arguments)


def complete(application: Application) -> None:
    do(application, StartSeparation("job_0", "host:1:a"))
    stem = StemFile("vocals", "user_usr_0/jobs/job_0/output/1/vocals.flac", 9, "audio/flac")
    do(application, CompleteSeparation("job_0", 1, (stem,), 0.0))


def available(application: Application) -> int:
    account: CreditState = application.store.load(CREDITS, CREDITS.stream("usr_0")).state
    return account.available(application.clock.now())


def test_a_job_that_was_failed_releases_its_credits_and_runs_again_for_nothing(
    shell: Shell, application: Application
) -> None:
    before = available(application)
    failed = shell("jobs", "fail", "job_0", "--reason", "its GPU burns")
    assert failed.code == 0
    assert "free again" in failed.out
    assert "failed, attempt" in failed.out
    assert available(application) == before + 10
    again = shell("jobs", "fail", "job_0", "--reason", "its GPU burns")
    assert (again.code, "nothing was changed" in again.out) == (0, True)
    requeued = shell("jobs", "requeue", "job_0", "--reason", "the GPU is new", "--json").data
    assert (requeued["status"], requeued["charged"], requeued["changed"]) == ("queued", 0, True)
    commit = list(application.store.read(JOB.stream("job_0")))[-1]
    assert commit.actor.startswith("cli:")
    assert "the GPU is new" in str(commit.events)


def test_a_completed_job_is_refunded_once(shell: Shell, application: Application) -> None:
    refused = shell("jobs", "refund", "job_0", "--reason", "noise")
    assert refused.code == 1
    complete(application)
    before = available(application)
    assert (
        "10 credits went back to usr_0" in shell("jobs", "refund", "job_0", "--reason", "noise").out
    )
    assert available(application) == before + 10
    assert "went back before" in shell("jobs", "refund", "job_0", "--reason", "noise").out
    assert available(application) == before + 10


def test_a_reason_and_a_job_are_needed(shell: Shell) -> None:
    assert shell("jobs", "fail", "job_0").code == 2
    assert shell("jobs", "fail", "job_0", "--reason", " ").code == 2
    assert shell("jobs", "fail", "usr_0", "--reason", "x").code == 2
    missing = shell("jobs", "fail", "job_nosuch", "--reason", "x")
    assert (missing.code, "No such job" in missing.err) == (1, True)


def test_maintenance_mode_is_a_503_until_it_is_over(shell: Shell, application: Application) -> None:
    assert "Nothing is paused" in shell("paused").out
    with serving(application) as served, httpx.Client(base_url=served.url) as http:
        token, _ = sign_in(application, "ann@example.com")
        http.headers["authorization"] = f"Bearer {token}"
        wish = {"filename": "a.mp3", "size": 1000}
        assert http.post("/v1/uploads", json=wish).status_code == 201
        paused = shell("pause", "intake", "--reason", "the database moves", "--retry-seconds", "60")
        assert "answered 503" in paused.out
        answer = until(lambda: http.post("/v1/uploads", json=wish), 503)
        assert answer.headers["retry-after"] == "60"
        assert "the database moves" in answer.json()["detail"]
        told = shell("paused", "--json").data
        assert [(t["subject"], t["by"][:4]) for t in told] == [("intake", "cli:")]
        assert "the database moves" in shell("paused").out
        assert shell("resume", "intake", "--reason", "moved").code == 0
        until(lambda: http.post("/v1/uploads", json=wish), 201)
    assert "was not paused" in shell("resume", "intake", "--reason", "again").out


def until(ask: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The first answer of that status; every process knows after a few seconds."""
    deadline = time.monotonic() + 10
    while (answer := ask()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    return answer


def test_only_what_there_is_can_be_paused(shell: Shell, application: Application) -> None:
    for subject, known in (
        ("model:nosuch", "spleeter-2stems"), ("projection:nosuch", "credits, erasures, jobs"),
        ("everything", "what can be paused is intake"),
    ):  # fmt: skip
        refused = shell("pause", subject, "--reason", "x")
        assert (refused.code, known in refused.err) == (2, True)
    assert shell("pause", "projection:jobs", "--reason", "a look").code == 0
    assert shell("pause", "model:spleeter-2stems", "--reason", "weights").code == 0
    state = application.store.load(CONTROLS, STREAM).state
    assert set(state.paused) == {"projection:jobs", "model:spleeter-2stems"}
    listed = shell("projections", "list")
    assert "jobs: paused (a look)" in listed.out
    refused = shell("projections", "rebuild", "jobs", *WHY)
    assert (refused.code, "Resume it first" in refused.err) == (1, True)
    assert "brings them to date" in shell("resume", "projection:jobs", "--reason", "seen").out
