"""One job's event stream: what it says, where it resumes, when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from commands import FailSeparation, RecordStage
from commands.dispatch import Command
from tests.handlers.api.conftest import Served
from tests.handlers.api.listening import Moved, listening
from tests.handlers.api.people import FINISHED, Person, assert_problem, client


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

        moved.cancel()
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
        by_parameter = f"{moved.path}?last_event_id={version}"
        for path, header in ((moved.path, version), (by_parameter, None)):
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
            assert told["errors"][0]["header"] == "Last-Event-ID"
            answer = http.get(moved.path, params={"last_event_id": version})
            told = assert_problem(answer, 422, "invalid_request")
            assert told["errors"][0]["parameter"] == "last_event_id"
        answer = http.get(moved.path, headers={"Last-Event-ID": "99"})
        assert_problem(answer, 422, "invalid_request")
        for job in ("job_0", "ast_" + moved.job["job_id"][4:], "job_" + "0" * 26):
            assert_problem(http.get(f"/v1/jobs/{job}/events"), 404, "not_found")
        for given in (b"", b"\xd9\xa1"):
            answer = http.get(moved.path, headers={b"Last-Event-ID": given})
            assert_problem(answer, 422, "invalid_request")
        answer = http.head(moved.path)
        assert answer.status_code == 405
        assert answer.headers["allow"]
        http.headers["Authorization"] = other.http.headers["Authorization"]
        assert_problem(http.get(moved.path), 404, "not_found")
        answer = http.get(moved.path, headers={"Last-Event-ID": "99"})
        assert_problem(answer, 404, "not_found")
