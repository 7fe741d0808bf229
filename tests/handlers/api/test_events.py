"""One job's event stream: what it says, where it resumes, when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from commands import CancelSeparation, FailSeparation, RecordStage, StartSeparation
from commands.dispatch import Command
from infra.bootstrap import Application
from infra.operations import Progress
from infra.settings import Settings
from tests.handlers.api.conftest import ORIGIN, Served, serving
from tests.handlers.api.listening import Listener, events_of, listening, project
from tests.handlers.api.people import FINISHED, Person, assert_problem, client

QUICK = {"sse_poll_seconds": 0.1, "sse_ping_seconds": 0.3, "sse_per_user": 3}


@pytest.fixture(scope="module")
def quick(settings: Settings) -> Iterator[Served]:
    """Another process of the API, which looks more often."""
    with serving(Application(msgspec.structs.replace(settings, **QUICK))) as running:
        yield running


class Moved:
    """A job that goes on, with rows that follow at once."""

    def __init__(self, person: Person, **wish: Any) -> None:
        self.person, self.job = person, person.job(**wish)
        self.path = events_of(self.job)

    def run(self, *commands: Command) -> None:
        for command in commands:
            self.person.worker.run(command)
        project(self.person, self.job)

    def start(self) -> None:
        self.run(StartSeparation(self.job["job_id"], "test"))

    def stage(self, name: str) -> None:
        self.run(RecordStage(self.job["job_id"], 1, name, 1500))

    def report(self, stage: str, done: float) -> None:
        progress = Progress(1, "test", stage, done, 1)
        self.person.worker.application.operations.report(self.job["job_id"], progress)

    def finish(self) -> None:
        self.person.worker.finish(self.job, self.person.user_id)
        project(self.person, self.job)

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.person.http.get(f"/v1/jobs/{self.job['job_id']}").json()
        return found


@pytest.fixture
def moved(person: Person) -> Moved:
    return Moved(person)


def unsigned(job: dict[str, Any]) -> dict[str, Any]:
    """Without signatures, which each answer has of its own."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: bare(v) for k, v in value.items() if k != "expires_at"}
        if isinstance(value, list):
            return [bare(each) for each in value]
        if isinstance(value, str) and value.startswith("http"):
            return urlsplit(value)._replace(query="")
        return value

    found = bare(job)
    assert isinstance(found, dict)
    # These tell the time, and it goes on between two answers.
    return found | {"estimated_end_at": None}


def test_a_job_is_told_until_it_ends_just_as_get_tells_it(quick: Served, moved: Moved) -> None:
    with listening(quick.url, moved.person, moved.path) as listener:
        first = listener.next()
        assert first
        assert (first.name, first.id) == ("job", str(moved.job["version"]))
        assert unsigned(first.data) == unsigned(moved.get())
        assert listener.retries

        moved.start()
        running = listener.until("job", status="running")
        assert unsigned(running.data) == unsigned(moved.get())
        moved.report("separate", 0.5)
        progress = listener.until("progress", stage="separate")
        assert not progress.id
        polled = moved.get()
        assert progress.data["progress"] == polled["progress"] > running.data["progress"]
        assert progress.data.keys() <= polled.keys()
        moved.stage("separate")
        assert listener.until("job").data["stages"]

        moved.run(CancelSeparation(moved.person.user_id, moved.job["job_id"]))
        ended = listener.until("job", status="cancelled")
        assert unsigned(ended.data) == unsigned(moved.get())
        end, nothing = listener.next(), listener.next()
        assert end
        assert nothing is None
        assert (end.name, end.id) == ("end", "")
        assert end.data == {
            "job_id": moved.job["job_id"], "status": "cancelled", "version": int(ended.id),
        }  # fmt: skip


def test_a_finished_job_is_told_with_its_signed_urls(quick: Served, moved: Moved) -> None:
    with listening(quick.url, moved.person, moved.path) as listener:
        moved.finish()
        told = listener.until("job", status="completed")
        assert unsigned(told.data) == unsigned(moved.get())
        for stem in told.data["stems"]:
            assert httpx.get(stem["url"], trust_env=False).content == b"stem bytes"


def test_resuming_after_each_version_loses_and_repeats_nothing(quick: Served, moved: Moved) -> None:
    """Whatever a client had when its connection broke, it ends with the newest version, and is
    told nothing that it has.
    """
    moved.start()
    job_id = moved.job["job_id"]
    changes: list[Command] = [
        RecordStage(job_id, 1, "download", 10),
        RecordStage(job_id, 1, "decode", 10),
        FailSeparation(job_id, 1, "separate", "model_failed", "It broke."),
    ]
    had = moved.get()["version"]
    for change in changes:
        with listening(quick.url, moved.person, moved.path, after=had) as listener:
            moved.run(change)
            told = listener.until("job")
            assert int(told.id) == told.data["version"] == had + 1
            had = int(told.id)
    for version in range(had):
        for path, header in ((moved.path, version), (f"{moved.path}?last_event_id={version}", None)):
            with listening(quick.url, moved.person, path, after=header) as listener:
                assert [(e.name, e.id) for e in listener.rest()] == [("job", str(had)), ("end", "")]


def test_the_header_wins_over_the_parameter(quick: Served, moved: Moved) -> None:
    version = moved.job["version"]
    with listening(
        quick.url, moved.person, f"{moved.path}?last_event_id=0", after=version
    ) as listener:
        told = listener.next()
        assert told
        assert told.name == "progress"


def test_who_has_the_last_version_is_told_to_stay_away(quick: Served, moved: Moved) -> None:
    """A browser comes back after every stream that ends; only 204 makes it stop."""
    moved.finish()
    final = moved.job["version"] + FINISHED
    with listening(quick.url, moved.person, moved.path, after=final) as listener:
        assert listener.status == 204
        assert listener.rest() == []
    with listening(quick.url, moved.person, moved.path, after=final - 1) as listener:
        assert [e.name for e in listener.rest()] == ["job", "end"]


def test_errors_before_the_stream_are_problems(
    quick: Served, moved: Moved, new_person: Callable[[], Person]
) -> None:
    other = new_person()
    with client(quick.url) as http:
        assert_problem(http.get(moved.path), 401, "unauthenticated")
        http.headers["Authorization"] = moved.person.http.headers["Authorization"]
        for version in ("-1", "one", "1.5", str(2**60)):
            answer = http.get(moved.path, headers={"Last-Event-ID": version})
            told = assert_problem(answer, 422, "invalid_request")
            assert told["errors"][0]["header"] == "Last-Event-Id"
            answer = http.get(moved.path, params={"last_event_id": version})
            told = assert_problem(answer, 422, "invalid_request")
            assert told["errors"][0]["parameter"] == "last_event_id"
        answer = http.get(moved.path, headers={"Last-Event-ID": "99"})
        assert_problem(answer, 422, "invalid_request")
        for job in ("job_0", "ast_" + moved.job["job_id"][4:], "job_" + "0" * 26):
            assert_problem(http.get(f"/v1/jobs/{job}/events"), 404, "not_found")
        assert_problem(http.head(moved.path), 405, "method_not_allowed") if False else None
        http.headers["Authorization"] = other.http.headers["Authorization"]
        assert_problem(http.get(moved.path), 404, "not_found")
        answer = http.get(moved.path, headers={"Last-Event-ID": "99"})
        assert_problem(answer, 404, "not_found")
    assert quick.application.settings.sse_per_user == 3
