"""No projector runs here, and rows still never answer less than the API has told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commands import StartSeparation
from handlers.api.acknowledged import Acknowledged
from handlers.api.service import Service
from tests.handlers.api.people import SONG, Person, Worker, send


@pytest.fixture
def rows_that_lag() -> Iterator[None]:
    """Nothing catches a row up behind an answer's back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "project", lambda *_: None)
        yield


@pytest.mark.usefixtures("rows_that_lag")
def test_an_upload_is_as_new_as_what_was_told(person: Person, worker: Worker) -> None:
    session = person.begin().json()
    path = f"/v1/library/{session['asset_id']}"
    assert person.http.get(path).json()["status"] == "uploading"
    send(session, SONG)
    upload = f"/v1/uploads/{session['asset_id']}"
    assert person.http.post(upload + "/complete").json()["version"] == 2
    asset = person.http.get(path).json()
    assert (asset["status"], asset["version"]) == ("uploaded", 2)
    worker.probe(session["asset_id"])  # in another process: not told yet
    assert person.http.get(upload).json()["status"] == "ready"
    asset = person.http.get(path).json()
    assert (asset["status"], asset["version"]) == ("ready", 3)


@pytest.mark.usefixtures("rows_that_lag")
def test_an_aborted_upload_is_aborted(person: Person) -> None:
    session = person.begin().json()
    path = f"/v1/library/{session['asset_id']}"
    assert person.http.get(path).json()["status"] == "uploading"
    assert person.http.delete(f"/v1/uploads/{session['asset_id']}").status_code == 204
    assert person.http.get(path).json()["status"] == "aborted"


@pytest.mark.usefixtures("rows_that_lag")
def test_a_job_is_as_new_as_what_was_told(person: Person, worker: Worker) -> None:
    job = person.job()
    path = f"/v1/jobs/{job['job_id']}"
    assert person.http.get(path).json()["status"] == "queued"
    worker.run(StartSeparation(job["job_id"], "test"))
    cancelled = person.http.post(f"{path}/cancel").json()
    read = person.http.get(path).json()
    assert (read["status"], read["version"]) == ("cancelled", cancelled["version"])


def test_only_so_many_are_remembered_and_no_version_goes_back() -> None:
    told = Acknowledged(most=2)
    told.note("a", 3)
    told.note("a", 2)
    assert (told.least("a"), told.least("a", 5), told.least("b")) == (3, 5, 1)
    told.note("b", 1)
    told.note("a", 1)
    told.note("c", 1)
    told.note("d", 4)
    assert [told.least(stream) for stream in "abcd"] == [1, 1, 1, 4]
