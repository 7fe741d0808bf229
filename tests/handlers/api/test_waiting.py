"""A queued job says its place, an open one when it should end; polls still cost no body."""

from __future__ import annotations

import time
from datetime import datetime
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from commands import Pause, Resume, StartSeparation
from domain.errors import Unavailable
from handlers.api.waiting import KEEP_SECONDS, Waiting
from infra.bootstrap import Application
from infra.operations import Progress, Pulses, WorkerPulse
from projections import JOBS_VIEW
from projections.jobs import JobView
from projections.query import folded
from tests.handlers.api.calling import counted
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person, Worker
from tests.handlers.switches import settle


@pytest.fixture
def alive(served: Served) -> str:
    """A worker of the short lane that has the default model in memory. The name."""
    application = served.application
    now = application.clock.now()
    application.pulses.note_worker(
        WorkerPulse("w:test", now, ("short",), (), (application.catalog.default_model,))
    )
    application.speeds.note(application.catalog.default_model, 10_000, 1_000)
    return "w:test"


def shown(
    person: Person, job: dict[str, Any], tag: str = "", min_version: int = 1
) -> httpx.Response:
    """No projector runs here, so the row is as new as somebody asks."""
    headers, params = {"If-None-Match": tag} if tag else {}, {"min_version": min_version}
    return person.http.get(f"/v1/jobs/{job['job_id']}", headers=headers, params=params)


def left(job: dict[str, Any]) -> float:
    """Seconds until its estimated end."""
    ends = datetime.fromisoformat(job["estimated_end_at"]).timestamp()
    assert ends % 5 == 0
    return ends - time.time()


def test_a_job_from_its_place_to_its_end(person: Person, worker: Worker, alive: str) -> None:
    first = person.job()
    time.sleep(KEEP_SECONDS + 0.1)
    second = person.job()
    places = [shown(person, job).json()["queue_position"] for job in (first, second)]
    assert places[1] == places[0] + 1
    assert 0 < left(shown(person, second).json()) < 600
    worker.run(StartSeparation(first["job_id"], alive))
    now = shown(person, first, min_version=2).json()
    assert now["queue_position"] is None
    assert -1 < left(now) < 10  # ten seconds of audio at ten times real time, rounded up


def test_an_ended_job_waits_for_nothing(person: Person) -> None:
    job = person.job()
    ended = person.http.post(f"/v1/jobs/{job['job_id']}/cancel").json()
    assert (ended["queue_position"], ended["estimated_end_at"]) == (None, None)


def test_polls_find_nothing_new_while_nothing_is(
    person: Person, worker: Worker, alive: str
) -> None:
    job = person.job()
    worker.run(StartSeparation(job["job_id"], alive))
    operations = worker.application.operations
    operations.report(job["job_id"], Progress(1, alive, "separate", 0.5, 1))
    shown(person, job, min_version=2)
    tag, answers = "", []
    for _ in range(20):
        answer = shown(person, job, tag)
        tag = answer.headers["etag"]
        answers.append(answer.status_code)
        time.sleep(0.05)
    assert answers.count(304) >= 18, answers


def test_a_paused_model_gives_no_end(person: Person, worker: Worker) -> None:
    job = person.job()
    subject = f"model:{job['model']}"
    worker.run(Pause(subject, "the estimates' test"))
    settle(worker.application)
    try:
        time.sleep(KEEP_SECONDS + 0.1)
        held = shown(person, job).json()
    finally:
        worker.run(Resume(subject, "the estimates' test"))
        settle(worker.application)
    assert held["queue_position"] >= 1
    assert held["estimated_end_at"] is None


def view_of(application: Application, job: dict[str, Any]) -> JobView:
    found = folded(JOBS_VIEW, f"job-{job['job_id']}", application.reading)
    assert found is not None
    return found.view


def test_one_look_serves_all_requests_of_two_seconds(
    person: Person, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, now = view_of(worker.application, person.job()), [100.0]
    waiting = Waiting(worker.application, lambda: now[0])
    waiting.expected(view)  # and what is cached for longer than this
    calls = counted(monkeypatch)
    for _ in range(50):
        waiting.expected(view)
    assert not calls
    now[0] += KEEP_SECONDS
    for _ in range(50):
        waiting.expected(view)
    # Pulses, queued and running jobs, speeds; now and then the switches and a catalogue.
    assert 4 <= len(calls) <= 8, calls


def test_nobody_waits_while_another_request_looks(
    person: Person, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, now = view_of(worker.application, person.job()), [100.0]
    waiting = Waiting(worker.application, lambda: now[0])
    before = waiting.expected(view)
    assert before.position is not None
    begun, answered = Event(), Event()
    workers = Pulses.workers

    def slow(pulses: Pulses) -> list[WorkerPulse]:
        begun.set()
        answered.wait(10)
        return workers(pulses)

    monkeypatch.setattr(Pulses, "workers", slow)
    now[0] += KEEP_SECONDS
    looking = Thread(target=waiting.expected, args=(view,), daemon=True)
    looking.start()
    assert begun.wait(5)
    assert waiting.expected(view) == before
    assert looking.is_alive()
    answered.set()
    looking.join(10)


def test_a_job_is_shown_while_the_lanes_cannot_be_read(
    person: Person, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_of(worker.application, person.job())

    def silent(_self: Pulses) -> list[WorkerPulse]:
        raise Unavailable("The operational table did not answer.")

    monkeypatch.setattr(Pulses, "workers", silent)
    said = Waiting(worker.application).expected(view)
    assert (said.position, said.ends) == (None, None)
