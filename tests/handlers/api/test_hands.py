"""Hands on the wheel over HTTP: jobs, switches, generations; each with its actor and reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from commands import FailSeparation, Resume, StartSeparation
from domain.controls import CONTROLS, STREAM
from infra.bootstrap import Application
from infra.operations import Progress
from tests.handlers.api.conftest import Served
from tests.handlers.api.documented import Document
from tests.handlers.api.operated import acts_of, flip
from tests.handlers.api.people import FINISHED, Person, assert_problem
from tests.handlers.switches import settle

WHY = {"reason": "the GPU burned"}


@pytest.fixture
def admin(admin: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(admin.http)
    return admin


def act(admin: Person, job: dict[str, Any], verb: str, key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/v1/admin/jobs/{job['job_id']}/{verb}"
    return admin.http.post(path, json={**WHY, **body}, headers=headers)


# --- jobs -------------------------------------------------------------------------------------


def test_support_reads_a_failure_and_operators_have_the_job_done_anew(
    admin: Person, person: Person, served: Served
) -> None:
    job = person.job()
    run, job_id = person.worker.run, job["job_id"]
    run(StartSeparation(job_id, "gpu-1"))
    beat = Progress(1, "gpu-1", "decode", 0.5, served.application.clock.now())
    served.application.operations.report(job_id, beat)
    running = admin.http.get(f"/v1/admin/jobs/{job_id}").json()
    assert running["user_id"] == person.user_id
    assert running["report"]["worker"] == "gpu-1"
    assert (running["job"]["status"], running["job"]["stage"]) == ("running", "decode")
    run(FailSeparation(job_id, 1, "decode", "ffmpeg_failed", "It broke."))
    failed = admin.http.get(f"/v1/admin/jobs/{job_id}").json()
    assert failed["job"]["failure"]["code"] == "ffmpeg_failed"
    assert (failed["events"], failed["job"]["version"], failed["charged"]) == (3, 3, 10)
    anew = act(admin, job, "requeue").json()
    assert (anew["job"]["status"], anew["job"]["requeues"]) == ("queued", 1)
    assert (anew["charged"], anew["job"]["price"]) == (0, 0)
    *_, last = admin.http.get(f"/v1/admin/streams/{job_id}").json()["events"]
    assert (last["type"], last["actor"]) == ("SeparationRequeued", admin.user_id)
    assert last["data"]["reason"] == "the GPU burned"
    assert last["corr"].startswith("req_")


def test_a_job_is_failed_and_another_refunded_and_the_user_reads_it(
    admin: Person, person: Person
) -> None:
    hopeless, hissing = person.job(), person.job()
    assert act(admin, hopeless, "fail").json()["job"]["status"] == "failed"
    mine = person.http.get(f"/v1/jobs/{hopeless['job_id']}").json()
    assert mine["failure"]["detail"] == "the GPU burned"
    assert_problem(act(admin, hissing, "refund"), 409, "not_allowed_now")
    person.worker.finish(hissing, person.user_id)
    assert act(admin, hissing, "refund").json()["job"]["refunded"] == 10
    assert act(admin, hissing, "refund").json()["events"] == hissing["version"] + FINISHED + 1
    assert person.http.get("/v1/credits").json()["available"] == 100
    assert_problem(act(admin, hissing, "requeue"), 409, "not_allowed_now")


def test_the_same_key_acts_once_whatever_came_between(admin: Person, person: Person) -> None:
    job = person.job()
    assert act(admin, job, "requeue", "k1").json()["events"] == 2
    person.worker.run(StartSeparation(job["job_id"], "test"))
    # The first answer; behind it the worker's claim alone has come.
    assert act(admin, job, "requeue", "k1").json()["events"] == 2
    assert admin.http.get(f"/v1/admin/jobs/{job['job_id']}").json()["events"] == 3
    reused = act(admin, job, "requeue", "k1", reason="something else")
    assert_problem(reused, 422, "idempotency_key_reused")
    assert act(admin, job, "requeue", "k2").json()["events"] == 4
    # A key belongs to its route.
    assert act(admin, job, "fail", "k1").json()["job"]["status"] == "failed"


def test_what_is_no_job_or_no_reason(admin: Person, person: Person) -> None:
    job = person.job()
    for verb in ("requeue", "fail", "refund"):
        for job_id in ("job_" + "0" * 26, "nonsense"):
            assert_problem(act(admin, {"job_id": job_id}, verb), 404, "not_found")
        for reason in ("", " ", "x" * 501):
            assert_problem(act(admin, job, verb, reason=reason), 422, "invalid_request")
    assert_problem(admin.http.get("/v1/admin/jobs/job_" + "0" * 26), 404, "not_found")


# --- switches ---------------------------------------------------------------------------------


@pytest.fixture
def parts(served: Served, person: Person) -> Iterator[Application]:
    """Whatever a test shuts is open again after it."""
    yield served.application
    for subject in served.application.store.load(CONTROLS, STREAM).state.paused:
        person.worker.run(Resume(subject, "the test is over"))
    settle(served.application)


def turn(admin: Person, way: str, subject: str, key: str = "", **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    wish = {**WHY, "subject": subject, **body}
    return admin.http.post(f"/v1/admin/{way}", json=wish, headers=headers)


def test_a_switch_says_why_since_when_and_by_whom(
    admin: Person, person: Person, parts: Application
) -> None:
    (shut,) = turn(admin, "pause", "intake", retry_seconds=60).json()["paused"]
    assert (shut["subject"], shut["reason"], shut["retry_seconds"], shut["by"]) == (
        "intake", "the GPU burned", 60, admin.user_id,
    )  # fmt: skip
    settle(parts)
    assert_problem(person.begin(), 503, "paused")
    assert person.http.get("/v1/capabilities").json()["paused"]["retry_after"] == 60
    # Another reason replaces the first; it is shut since then all the same.
    (again,) = turn(admin, "pause", "intake", reason="it still does").json()["paused"]
    assert (again["reason"], again["since"]) == ("it still does", shut["since"])
    told = turn(admin, "resume", "intake", reason="it was put out").json()
    assert told["paused"] == []
    changes = told["changes"][:3]
    assert [c["change"] for c in changes] == ["resumed", "paused", "paused"]
    assert [c["retry_seconds"] for c in changes] == [None, 300, 60]
    assert {c["by"] for c in changes} == {admin.user_id}
    # Shut anew, it is so since now.
    (anew,) = turn(admin, "pause", "intake").json()["paused"]
    assert anew["since"] > shut["since"]
    assert len(admin.http.get("/v1/admin/controls", params={"changes": 2}).json()["changes"]) == 2


def test_a_pause_sent_again_does_not_shut_what_was_opened_since(
    admin: Person, parts: Application
) -> None:
    model = "model:spleeter-2stems"
    assert turn(admin, "pause", model, "p1").json()["paused"]
    assert turn(admin, "resume", model, "r1").json()["paused"] == []
    assert turn(admin, "pause", model, "p1").json()["paused"]  # as it was then
    assert admin.http.get("/v1/admin/controls").json()["paused"] == []
    other = turn(admin, "pause", "intake", "p1")
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("way", ["pause", "resume"])
@pytest.mark.parametrize(
    "subject", ["model:nope", "projection:nope", "kitchen", "", "projection:", "model:" + "x" * 200]
)
def test_what_does_not_exist_is_not_paused(admin: Person, way: str, subject: str) -> None:
    code = "unknown_model" if subject == "model:nope" else "invalid_request"
    assert_problem(turn(admin, way, subject), 422, code)


def test_how_long_callers_wait_is_held_to_a_day(admin: Person) -> None:
    for seconds in (0, 24 * 3600 + 1):
        refused = turn(admin, "pause", "intake", retry_seconds=seconds)
        assert_problem(refused, 422, "invalid_request")


# --- generations ------------------------------------------------------------------------------


def test_a_read_model_goes_back_and_not_twice_by_mistake(admin: Person, served: Served) -> None:
    def library() -> dict[str, Any]:
        items = admin.http.get("/v1/admin/projections").json()["items"]
        (found,) = [each for each in items if each["name"] == "library"]
        return dict(found)

    before = library()
    flip(served.application, "library")
    flipped = library()["generation"]
    assert flipped > before["generation"]
    path, wish = "/v1/admin/projections/library/rollback", {**WHY, "live": flipped}
    back = admin.http.post(path, json=wish).json()
    assert back["generation"] == before["generation"]
    states = {g["number"]: g["state"] for g in back["generations"]}
    assert (states[before["generation"]], states[flipped]) == ("live", "kept")
    again = assert_problem(admin.http.post(path, json=wish), 409, "not_allowed_now")
    assert f"library@{before['generation']} is live" in again["detail"]
    act = ("roll_back", f"projection:library@{before['generation']}", WHY["reason"])
    assert acts_of(served.application, admin.user_id)[-1] == act
    none = admin.http.post("/v1/admin/projections/jobs/rollback", json=WHY)
    assert_problem(none, 409, "not_allowed_now")
    unknown = admin.http.post("/v1/admin/projections/nope/rollback", json=WHY)
    assert_problem(unknown, 404, "not_found")


def test_what_was_not_done_is_not_told_of(admin: Person, served: Served) -> None:
    before = acts_of(served.application, admin.user_id)
    for path in ("projections/jobs/rollback", "dead-letters/jobs/job-none/redrive"):
        for wish in (WHY, {}, {"reason": " "}, {"reason": "x" * 501}):
            assert admin.http.post(f"/v1/admin/{path}", json=wish).is_client_error
    assert acts_of(served.application, admin.user_id) == before
