"""A poison commit parks its stream; operators see why, and redrive it once the code takes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog

import projections
from commands import StartSeparation
from domain.aggregate import Aggregate, Event
from domain.commit import Append, Meta
from domain.job import EVENTS, JobState, evolve
from handlers.projector.__main__ import build
from infra.bootstrap import Application
from projections import JOBS_VIEW
from projections.doorbell import envelope, ring
from tests.handlers.cli.operators import WHY, Done, do, some_work, splitsound

Shell = Callable[..., Done]


class SeparationBlessed(Event, frozen=True):
    """An event that the code which runs has never heard of."""

    by: str


NEWER: Aggregate[JobState] = Aggregate("job", (*EVENTS, SeparationBlessed), JobState, evolve)


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    """Three jobs; the second has a commit that nobody here can read, and a later one."""
    some_work(application)
    loaded = application.store.load(NEWER, NEWER.stream("job_1"))
    application.store.append([Append(loaded, [SeparationBlessed("the pope")])], Meta("c", "newer"))
    loaded = application.store.load(NEWER, NEWER.stream("job_1"))
    application.store.append([Append(loaded, [SeparationBlessed("another")])], Meta("d", "newer"))
    do(application, StartSeparation("job_2", "host:1:a"))
    deliver(application)
    return lambda *arguments: splitsound(capsys, *arguments)


def deliver(application: Application) -> None:
    """Every doorbell reaches the projector."""
    projector = build(application, structlog.get_logger())
    records = [
        {"messageId": str(n), "body": envelope(ring(c))}
        for n, c in enumerate(application.store.scan())
    ]
    assert projector({"Records": records}) == {"batchItemFailures": []}


def test_a_parked_stream_is_shown_with_its_commit_and_follows_once_it_can(
    shell: Shell, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = shell("dead-letters", "list")
    assert listed.code == 0
    assert "jobs@1" in listed.out
    assert "job-job_1" in listed.out
    assert "job-job_2" not in listed.out
    assert "SeparationBlessed" in listed.out
    assert "dead-letter queues: separation 0, probe 0, projections 0" in listed.out
    parked = shell("dead-letters", "list", "jobs", "--json").data["parked"]
    assert [p["stream"] for p in parked] == ["job-job_1"]
    assert shell("dead-letters", "list", "credits", "--json").data["parked"] == []
    assert "1 stream cannot be followed" in shell("projections", "list").out

    shown = shell("dead-letters", "show", "jobs", "job_1")
    assert shown.code == 0
    assert "Traceback (most recent call last)" in shown.out
    assert "by=the pope" in shown.out
    assert "stays at v1; 1 later commit waits behind this one" in shown.out
    (letter,) = shell("dead-letters", "show", "jobs", "job_1", "--json").data
    assert (letter["commit"][0]["type"], letter["later"]) == ("SeparationBlessed", 1)

    stuck = shell("dead-letters", "redrive", "jobs", "job_1", *WHY)
    assert (stuck.code, "Stuck" in stuck.out) == (1, True)
    assert shell("dead-letters", "list", "jobs", "--json").data["parked"][0]["tries"] == 2

    monkeypatch.setitem(projections.ALL, "jobs", replace(JOBS_VIEW, aggregate=NEWER))
    done = shell("dead-letters", "redrive", "--all", *WHY)
    assert done.code == 0
    assert "job-job_1 in jobs@1" in done.out
    row = application.rows.head("jobs@1", "job-job_1")
    assert row is not None
    assert row.version == 3
    assert "No stream is parked" in shell("dead-letters", "list").out
    assert shell("projections", "verify", "jobs").code == 0


def test_verify_says_that_a_differing_stream_is_parked(shell: Shell) -> None:
    # A commit is a difference once it is older than a projector needs.
    time.sleep(2.1)
    found = shell("projections", "verify", "jobs", "--repair", *WHY)
    assert found.code == 1
    assert "parked" in found.out


def test_what_is_not_parked_is_not_found(shell: Shell) -> None:
    missing = shell("dead-letters", "show", "jobs", "job_2")
    assert (missing.code, "is not parked in jobs" in missing.err) == (1, True)
    assert shell("dead-letters", "redrive").code == 2
    assert shell("dead-letters", "list", "nosuch").code == 2
