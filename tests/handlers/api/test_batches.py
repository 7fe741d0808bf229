"""Several uploads or jobs at once, each with its own result."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.api.people import Person, assert_problem, send


def wanted(*names: str, **more: Any) -> dict[str, Any]:
    return {"uploads": [{"filename": name, "size": 4, **more} for name in names]}


def test_each_upload_has_a_result_of_its_own(person: Person) -> None:
    batch = wanted("a.mp3", "b.mp3")
    batch["uploads"].insert(1, {"filename": "huge.wav", "size": 10**12})
    batch["uploads"].append({"filename": " ", "size": 4})
    items = person.http.post("/v1/uploads/batch", json=batch).json()["items"]
    assert [item["status"] for item in items] == [201, 413, 201, 422]
    assert items[1]["problem"]["code"] == "upload_too_large"
    assert items[1]["problem"]["limit"]
    assert [item["upload"] is None for item in items] == [False, True, False, True]
    for item in (items[0], items[2]):
        session = item["upload"]
        send(session, b"song")
        done = person.http.post(f"/v1/uploads/{session['asset_id']}/complete")
        assert done.json()["status"] == "uploaded"


def test_what_no_upload_could_be_refuses_the_whole_batch(person: Person) -> None:
    answer = person.http.post("/v1/uploads/batch", json=wanted("a.mp3", ""))
    problem = assert_problem(answer, 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "#/uploads/1/filename"
    assert person.http.get("/v1/library").json()["items"] == []


def test_jobs_are_queued_until_the_credits_run_out(person: Person) -> None:
    songs = [person.song(seconds=40) for _ in range(3)]
    wishes = [{"asset_id": song} for song in songs]
    wishes.insert(1, {"asset_id": "ast_" + "0" * 26})
    answer = person.http.post("/v1/jobs/batch", json={"jobs": wishes})
    items = answer.json()["items"]
    assert [item["status"] for item in items] == [201, 404, 201, 402]
    assert items[3]["problem"]["missing"] == 20
    assert [items[n]["job"]["status"] for n in (0, 2)] == ["queued", "queued"]
    assert person.http.get("/v1/credits").json()["reserved"] == 80


def test_the_same_batch_again_acts_once(person: Person) -> None:
    key = {"Idempotency-Key": "all-of-them"}
    first, again = (
        person.http.post("/v1/uploads/batch", json=wanted("a.mp3", "a.mp3"), headers=key).json()
        for _ in range(2)
    )
    ids = [item["upload"]["asset_id"] for item in first["items"]]
    assert len(set(ids)) == 2, "two of the same file are two"
    assert ids == [item["upload"]["asset_id"] for item in again["items"]]
    song = person.song()
    jobs = {"jobs": [{"asset_id": song}, {"asset_id": song}]}
    one, two = (person.http.post("/v1/jobs/batch", json=jobs, headers=key).json() for _ in "ab")
    assert [i["job"]["job_id"] for i in one["items"]] == [i["job"]["job_id"] for i in two["items"]]
    assert person.http.get("/v1/credits").json()["reserved"] == 20


@pytest.mark.parametrize("path", ["/v1/uploads/batch", "/v1/jobs/batch"])
@pytest.mark.parametrize("many", [0, 51])
def test_batches_that_are_none(person: Person, path: str, many: int) -> None:
    field = path.split("/")[2]
    each = {"filename": "a", "size": 1} if field == "uploads" else {"asset_id": "a"}
    for body in ({field: [each] * many}, {}, {field: [each], "more": 1}, [each]):
        assert_problem(person.http.post(path, json=body), 422, "invalid_request")
