from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from commands import RejectAsset
from domain.retention import DAY
from projections import LIBRARY_VIEW
from projections.catch_up import catch_up
from projections.retention import due_assets
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import FINISHED, Person, Worker, assert_problem


def test_an_upload_from_session_to_probe(person: Person, worker: Worker) -> None:
    session = person.begin().json()
    path = f"/v1/library/{session['asset_id']}"
    assert person.http.get(path).json()["status"] == "uploading"
    asset_id = person.upload()["asset_id"]
    worker.probe(asset_id, seconds=3)
    asset = person.http.get(f"/v1/library/{asset_id}", params={"min_version": 3}).json()
    assert asset["status"] == "ready"
    assert asset["audio"] == {"samples": 132_300, "rate": 44_100, "channels": 2, "seconds": 3.0}
    assert (asset["container"], asset["failure"]) == ("mp3", None)
    assert asset["created_at"].endswith("Z")


def test_a_rejected_upload_says_why(person: Person, worker: Worker) -> None:
    asset_id = person.upload()["asset_id"]
    worker.run(RejectAsset(asset_id, "media_unreadable", "This is no audio."))
    asset = person.http.get(f"/v1/library/{asset_id}", params={"min_version": 3}).json()
    assert asset["failure"] == {"code": "media_unreadable", "detail": "This is no audio."}


def test_the_list_has_ones_own_write_before_any_projector(
    person: Person, new_person: Callable[[], Person]
) -> None:
    done = person.upload()
    params = {"stream": done["stream"], "min_version": done["version"]}
    page = person.http.get("/v1/library", params=params).json()
    assert [a["asset_id"] for a in page["items"]] == [done["asset_id"]]
    assert page["items"][0]["status"] == "uploaded"
    assert_problem(new_person().http.get("/v1/library", params=params), 404, "not_found")
    wrong = person.http.get("/v1/library", params={"stream": "credits-x"})
    assert_problem(wrong, 422, "invalid_request")


def test_each_user_lists_their_own(person: Person, new_person: Callable[[], Person]) -> None:
    for each in (person, new_person()):
        asset_id = each.begin().json()["asset_id"]
        each.http.get(f"/v1/library/{asset_id}")
        page = each.http.get("/v1/library").json()
        assert [a["asset_id"] for a in page["items"]] == [asset_id]
        assert page["cursor"] is None


def test_only_cursors_of_this_very_list_are_taken(
    person: Person, new_person: Callable[[], Person]
) -> None:
    for each in (person, stranger := new_person()):
        for _ in range(2):
            each.http.get(f"/v1/library/{each.begin().json()['asset_id']}")
    cursor = person.http.get("/v1/library", params={"limit": 1}).json()["cursor"]
    foreign = stranger.http.get("/v1/library", params={"limit": 1}).json()["cursor"]
    forged = base64.urlsafe_b64encode(b'{"pk":{"S":"x"}}').decode()
    rest = person.http.get("/v1/library", params={"limit": 1, "cursor": cursor}).json()
    assert len(rest["items"]) == 1
    for wrong in (foreign, forged, "x", "", cursor[:-1], "x" + cursor):
        answer = person.http.get("/v1/library", params={"cursor": wrong})
        assert_problem(answer, 422, "invalid_request")
    assert_problem(person.http.get("/v1/jobs", params={"cursor": cursor}), 422, "invalid_request")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", ""])
def test_limits_that_are_none(person: Person, limit: str) -> None:
    for path in ("/v1/library", "/v1/jobs", "/v1/credits/history"):
        problem = assert_problem(
            person.http.get(path, params={"limit": limit}), 422, "invalid_request"
        )
        assert problem["errors"][0]["parameter"] == "limit"


def test_an_upload_is_renamed_tagged_deleted_and_restored(person: Person) -> None:
    job = person.job()
    person.worker.finish(job, person.user_id)
    asset = f"/v1/library/{job['asset_id']}"
    named = person.http.patch(asset, json={"filename": "Neu.mp3", "tags": ["a", "b"]}).json()
    assert (named["filename"], named["tags"]) == ("Neu.mp3", ["a", "b"])
    least = {"min_version": job["version"] + FINISHED}
    shown = person.http.get(f"/v1/jobs/{job['job_id']}", params=least)
    assert shown.json()["stems"][0]["filename"].startswith("Neu - ")
    gone = person.http.delete(asset).json()
    assert gone["deleted_until"]
    assert gone["days_left"] == 30
    etag = {"If-None-Match": shown.headers["etag"]}
    after = person.http.get(f"/v1/jobs/{job['job_id']}", headers=etag)
    assert after.json()["stems"][0]["url"] is None
    assert_problem(person.ask(job["asset_id"]), 409, "asset_deleted")
    back = person.http.post(f"{asset}/restore").json()
    assert (back["deleted_until"], back["filename"]) == (None, "Neu.mp3")
    assert person.http.get(f"/v1/jobs/{job['job_id']}").json()["stems"][0]["url"]


def test_a_library_is_searched_and_sorted_in_pages(person: Person, served: Served) -> None:
    for name in ("Zo\u00eb.mp3", "abend.mp3", "Morgen.mp3"):
        asset_id = person.begin(filename=name).json()["asset_id"]
        person.http.get(f"/v1/library/{asset_id}")

    def names(**query: str) -> tuple[list[str], str | None]:
        page = person.http.get("/v1/library", params=query).json()
        return [item["filename"] for item in page["items"]], page["cursor"]

    assert names(q="zoe")[0] == ["Zo\u00eb.mp3"]
    first, cursor = names(sort="name", limit="2")
    assert first == ["abend.mp3", "Morgen.mp3"]
    assert cursor
    assert names(sort="name", limit="2", cursor=cursor) == (["Zo\u00eb.mp3"], None)
    assert names(deleted="only") == ([], None)
    query = {"sort": "-name", "cursor": cursor}
    assert_problem(person.http.get("/v1/library", params=query), 422, "invalid_request")


def test_a_jobs_results_are_deleted_and_restored(person: Person) -> None:
    job = person.job()
    url = f"/v1/jobs/{job['job_id']}"
    assert_problem(person.http.delete(url), 409, "not_allowed_now")
    person.worker.finish(job, person.user_id)
    assert person.http.delete(url).json()["stems"][0]["url"] is None
    assert person.http.post(f"{url}/restore").json()["stems"][0]["url"]


def test_what_is_deleted_is_due_after_its_time(person: Person, served: Served) -> None:
    asset_id = person.song()
    person.http.delete(f"/v1/library/{asset_id}")
    reading = served.application.reading
    # A row follows behind the answer's back.
    catch_up(LIBRARY_VIEW, f"asset-{asset_id}", reading)
    soon = served.application.clock.now() + 31 * DAY
    assert asset_id in {due.asset_id for due in due_assets(reading, soon)}


def test_names_stand_nowhere_in_plain_and_end_with_the_key(person: Person, served: Served) -> None:
    begun = person.begin(filename="Sehr-Geheim.mp3").json()
    asset = f"/v1/library/{begun['asset_id']}"
    person.http.patch(asset, json={"tags": ["Niemandem-sagen"]})
    application = served.application
    tables = (application.settings.events_table, application.settings.read_models_table)
    for table in tables:
        pages = application.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        text = str(list(pages))
        assert begun["asset_id"] in text
        assert "Sehr-Geheim" not in text
        assert "Niemandem" not in text
    application.personal.erase(person.user_id)
    shown = person.http.get(asset).json()
    assert (shown["filename"], shown["tags"]) == ("(erased)", [])
