"""Maintenance mode as a client meets it: a clear 503, when to come back, nothing begun is lost."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from commands import Pause, Resume
from domain.controls import CONTROLS, STREAM
from infra.bootstrap import Application
from tests.handlers.api.conftest import Served
from tests.handlers.api.documented import Document
from tests.handlers.api.people import SONG, Person, assert_problem, send
from tests.handlers.switches import settle


@pytest.fixture
def document(anyone: httpx.Client) -> Document:
    return Document(anyone)


@pytest.fixture
def parts(served: Served, person: Person) -> Iterator[Application]:
    """The API's own parts; whatever a test shuts is open again after it."""
    yield served.application
    for subject in served.application.store.load(CONTROLS, STREAM).state.paused:
        person.worker.run(Resume(subject, "the test is over"))
    settle(served.application)


def test_nothing_new_comes_in_and_the_client_is_told_when_to_come_back(
    parts: Application, person: Person, document: Document
) -> None:
    document.watch(person.http)
    song = person.song()
    opened = person.begin(key="before").json()
    accepted = person.ask(song, key="before").json()
    person.worker.run(Pause("intake", "the database moves", 600))
    settle(parts)
    offer = person.http.get("/v1/capabilities").json()
    assert offer["paused"] == {"reason": "the database moves", "retry_after": 600}
    for refused in (person.begin(), person.ask(song)):
        problem = assert_problem(refused, 503, "paused")
        assert refused.headers["retry-after"] == "600"
        assert (problem["subject"], problem["retry_after"]) == ("intake", 600)
        assert problem["retryable"]
        assert "the database moves" in problem["detail"]
        assert "10 minutes" in problem["detail"]
    # What had been accepted is told again, and goes on.
    assert person.begin(key="before").json()["asset_id"] == opened["asset_id"]
    assert person.ask(song, key="before").json()["job_id"] == accepted["job_id"]
    send(opened, SONG)
    assert person.http.post(f"/v1/uploads/{opened['asset_id']}/complete").is_success
    assert person.http.post(f"/v1/jobs/{accepted['job_id']}/cancel").is_success
    assert person.http.post("/v1/quotes", json={"asset_id": song}).is_success
    multiparts = parts.client("s3").list_multipart_uploads(Bucket=parts.settings.media_bucket)
    keys = [each["Key"] for each in multiparts.get("Uploads", ())]
    assert not any(person.user_id in key for key in keys), "a refused upload left something in S3"


def test_a_paused_model_refuses_its_jobs_and_opens_again(
    parts: Application, person: Person, anyone: httpx.Client, document: Document
) -> None:
    document.watch(anyone)
    song = person.song()
    person.worker.run(Pause("model:spleeter-2stems", "its weights are being replaced"))
    settle(parts)
    offered = {m["name"]: m["paused"] for m in anyone.get("/v1/capabilities").json()["models"]}
    told = {"reason": "its weights are being replaced", "retry_after": 300}
    assert offered.pop("spleeter-2stems") == told
    assert not any(offered.values())
    refused = person.ask(song, model="spleeter-2stems")
    assert assert_problem(refused, 503, "paused")["subject"] == "model:spleeter-2stems"
    assert refused.headers["retry-after"] == "300"
    assert person.begin().is_success
    person.worker.run(Resume("model:spleeter-2stems", "replaced"))
    settle(parts)
    assert person.ask(song, model="spleeter-2stems").status_code == 201
