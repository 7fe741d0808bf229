from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from commands import (
    AbandonSeparation,
    FailSeparation,
    RecordStage,
    RefundSeparation,
    RejectAsset,
    RequeueSeparation,
    StartSeparation,
)
from domain.job import STAGES
from infra.operations import Progress
from tests.handlers.api.conftest import ORIGIN, Served
from tests.handlers.api.people import FINISHED, S3, Person, Worker, assert_problem, insist


def test_a_quote_reserves_nothing_and_says_what_a_job_would_cost(person: Person) -> None:
    asset_id = person.song(seconds=10)
    body = {"asset_id": asset_id, "model": "spleeter-dsp-4stems", "stems": ["bass", "vocals"]}
    quote = person.http.post("/v1/quotes", json=body)
    assert quote.status_code == 200
    assert quote.json() == {
        "asset_id": asset_id,
        "model": "spleeter-dsp-4stems",
        "stems": ["vocals", "bass"],
        "format": "flac",
        "prompt": None,
        "seconds": 10.0,
        "price": 15,
        "price_list": "2026-11",
        "available": 100,
        "enough": True,
        "reused_from": None,
    }
    job = person.ask(asset_id, model=body["model"], stems=body["stems"]).json()
    assert (job["price"], job["stems_wanted"]) == (15, ["vocals", "bass"])


def test_a_quote_says_when_credits_do_not_suffice(person: Person) -> None:
    quote = person.http.post("/v1/quotes", json={"asset_id": person.song(seconds=101)}).json()
    assert (quote["price"], quote["available"], quote["enough"]) == (101, 100, False)


def test_a_job_from_request_to_stems(person: Person, worker: Worker) -> None:
    answer = person.ask(person.song())
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['job_id']}"
    assert (job["status"], job["progress"], job["stage"]) == ("queued", 0.0, None)
    assert (job["model"], job["format"], job["price"]) == ("spleeter-2stems", "flac", 10)
    assert (job["stream"], job["version"]) == (f"job-{job['job_id']}", 1)
    assert job["requested_at"].endswith("Z")
    assert (job["started_at"], job["ended_at"], job["gain_db"]) == (None, None, None)

    worker.finish(job, person.user_id)
    done = person.http.get(f"/v1/jobs/{job['job_id']}", params={"min_version": 9}).json()
    assert (done["status"], done["progress"], done["gain_db"]) == ("completed", 1.0, -0.5)
    assert [s["stage"] for s in done["stages"]] == list(STAGES)
    assert done["stages"][0] == {
        "attempt": 1, "stage": "download", "seconds": 1.5, "tries": 1,
    }  # fmt: skip
    assert [s["filename"] for s in done["stems"]] == [
        "My Song - vocals.flac",
        "My Song - accompaniment.flac",
    ]
    account = person.http.get("/v1/credits").json()
    assert (account["available"], account["reserved"], account["captured"]) == (90, 0, 10)


def test_a_stem_is_fetched_by_range_across_origins_under_its_name(
    person: Person, worker: Worker
) -> None:
    job = person.job()
    worker.finish(job, person.user_id, b"0123456789")
    done = person.http.get(f"/v1/jobs/{job['job_id']}", params={"min_version": 9}).json()
    stem = done["stems"][0]
    assert (stem["bytes"], stem["media_type"], stem["peak"]) == (10, "audio/flac", 0.5)
    answer = S3.get(stem["url"], headers={"Origin": ORIGIN, "Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-range"] == "bytes 2-4/10"
    assert answer.headers["access-control-allow-origin"] in (ORIGIN, "*")
    assert 'filename="My Song - vocals.flac"' in answer.headers["content-disposition"]
    assert answer.headers["content-type"] == "audio/flac"
    assert S3.get(stem["url"].replace("vocals", "accompaniment")).status_code == 403


def test_the_same_key_is_one_job(person: Person) -> None:
    asset_id = person.song()
    with ThreadPoolExecutor(4) as pool:
        asked = pool.map(lambda _: insist(lambda: person.ask(asset_id, key="once")), range(4))
        answers = list(asked)
    assert [a.status_code for a in answers] == [201] * 4
    assert len({a.json()["job_id"] for a in answers}) == 1
    assert person.http.get("/v1/credits").json()["reserved"] == 10
    other = person.ask(asset_id, key="once", format="wav")
    assert_problem(other, 422, "idempotency_key_reused")


def test_not_enough_credits(person: Person) -> None:
    problem = assert_problem(person.ask(person.song(seconds=101)), 402, "not_enough_credits")
    assert (problem["required"], problem["available"]) == (101, 100)
    assert not problem["retryable"]
    assert person.http.get("/v1/credits").json()["reserved"] == 0


def test_a_song_that_is_not_ready(person: Person) -> None:
    unfinished = person.begin().json()["asset_id"]
    unprobed = person.upload()["asset_id"]
    for asset_id in (unfinished, unprobed):
        for answer in (
            person.ask(asset_id),
            person.http.post("/v1/quotes", json={"asset_id": asset_id}),
        ):
            assert assert_problem(answer, 409, "asset_not_ready")["retryable"]
            assert int(answer.headers["retry-after"]) > 0


def test_a_song_that_was_rejected(person: Person, worker: Worker) -> None:
    asset_id = person.upload()["asset_id"]
    worker.run(RejectAsset(asset_id, "no_audio", "There is no sound in it."))
    problem = assert_problem(person.ask(asset_id), 422, "asset_rejected")
    assert (problem["reason"], problem["detail"]) == ("no_audio", "There is no sound in it.")


@pytest.mark.parametrize("asset_id", ["ast_" + "0" * 26, "ast_nope", "", "../x", "job_x"])
def test_an_unknown_song(person: Person, asset_id: str) -> None:
    assert_problem(person.ask(asset_id), 404, "not_found")
    answer = person.http.post("/v1/quotes", json={"asset_id": asset_id})
    assert_problem(answer, 404, "not_found")


def test_somebody_elses_song_and_job(person: Person, new_person: Callable[[], Person]) -> None:
    job = person.job()
    stranger = new_person()
    path = f"/v1/jobs/{job['job_id']}"
    for answer in (
        stranger.ask(job["asset_id"]),
        stranger.http.post("/v1/quotes", json={"asset_id": job["asset_id"]}),
        stranger.http.get(path),
        stranger.http.post(f"{path}/cancel"),
        stranger.http.get("/v1/jobs", params={"stream": job["stream"]}),
        stranger.ask(stranger.song(), retry_of=job["job_id"]),
    ):
        assert_problem(answer, 404, "not_found")
    assert person.http.get(path).json()["status"] == "queued"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"model": "nope"}, "unknown_model"),
        ({"stems": ["kazoo"]}, "unknown_stem"),
        ({"stems": ["drums"]}, "unknown_stem"),
        ({"format": "ogg"}, "unsupported_format"),
    ],
)
def test_what_this_deployment_does_not_offer(
    person: Person, wish: dict[str, Any], code: str
) -> None:
    asset_id = person.song()
    assert_problem(person.ask(asset_id, **wish), 422, code)
    answer = person.http.post("/v1/quotes", json={"asset_id": asset_id, **wish})
    assert_problem(answer, 422, code)


def test_mp3_cannot_carry_192_khz(person: Person) -> None:
    asset_id = person.song(rate=192_000)
    assert_problem(person.ask(asset_id, format="mp3"), 422, "unsupported_format")
    assert person.ask(asset_id, format="flac").status_code == 201


def test_cancelling_releases_the_credits(person: Person) -> None:
    job = person.job()
    path = f"/v1/jobs/{job['job_id']}"
    for _ in range(2):
        answer = person.http.post(f"{path}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    account = person.http.get("/v1/credits").json()
    assert (account["available"], account["reserved"]) == (100, 0)


def test_a_failed_job_says_where_and_why_and_can_be_retried(person: Person, worker: Worker) -> None:
    job = person.job()
    assert_problem(person.ask(job["asset_id"], retry_of=job["job_id"]), 422, "invalid_request")
    worker.run(StartSeparation(job["job_id"], "test"))
    worker.run(FailSeparation(job["job_id"], 1, "decode", "ffmpeg_failed", "It broke."))
    failed = person.http.get(f"/v1/jobs/{job['job_id']}", params={"min_version": 3}).json()
    assert failed["failure"] == {"stage": "decode", "code": "ffmpeg_failed", "detail": "It broke."}
    again = person.ask(job["asset_id"], retry_of=job["job_id"])
    assert (again.status_code, again.json()["retry_of"]) == (201, job["job_id"])
    assert again.json()["job_id"] != job["job_id"]


def test_reads_follow_writes_with_no_projector_running(person: Person, worker: Worker) -> None:
    job = person.job()
    path = f"/v1/jobs/{job['job_id']}"
    assert person.http.get(path).json()["version"] == 1
    worker.run(StartSeparation(job["job_id"], "test"))
    fresh = person.http.get(path, params={"min_version": 2}).json()
    assert (fresh["version"], fresh["status"]) == (2, "running")
    listed = person.http.get("/v1/jobs", params={"stream": job["stream"], "min_version": 2})
    assert [j["version"] for j in listed.json()["items"]] == [2]
    assert_problem(person.http.get(path, params={"min_version": 99}), 422, "invalid_request")


def test_progress_is_that_of_the_running_attempt_and_never_goes_back(
    person: Person, worker: Worker, served: Served
) -> None:
    job_id = person.job()["job_id"]
    report = served.application.operations.report
    seen: list[tuple[str | None, float]] = []

    def look(version: int) -> float:
        params = {"min_version": version}
        job = person.http.get(f"/v1/jobs/{job_id}", params=params).json()
        seen.append((job["stage"], job["progress"]))
        return float(job["progress"])

    worker.run(StartSeparation(job_id, "test"))
    look(2)
    for number, stage in enumerate(STAGES[:4]):
        report(job_id, Progress(1, "test", stage, 0.5, 0))
        look(2)
        worker.run(RecordStage(job_id, 1, stage, 10))
        look(3 + number)
    assert [p for _, p in seen] == sorted(p for _, p in seen)
    assert [s for s, _ in seen[1::2]] == list(STAGES[:4])
    assert 0 < seen[-1][1] < 1
    worker.run(StartSeparation(job_id, "another"))  # the job was taken over
    report(job_id, Progress(1, "test", "upload", 1.0, 0))  # the stale worker still talks
    assert look(7) == 0.0


def test_jobs_are_listed_newest_first_page_by_page(person: Person) -> None:
    asset_id = person.song(seconds=1)
    made = [person.ask(asset_id).json()["job_id"] for _ in range(5)]
    for job_id in made:
        person.http.get(f"/v1/jobs/{job_id}")  # brings the row up, as a projector would
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = person.http.get("/v1/jobs", params=params).json()
        found += [j["job_id"] for j in page["items"]]
        cursor, pages = page["cursor"], pages + 1
    assert found == made[::-1]
    assert pages == 3


def test_a_list_signs_no_urls(person: Person, worker: Worker) -> None:
    job = person.job()
    worker.finish(job, person.user_id)
    params = {"stream": job["stream"], "min_version": 9}
    (listed,) = person.http.get("/v1/jobs", params=params).json()["items"]
    assert [(s["name"], s["url"]) for s in listed["stems"]] == [
        ("vocals", None),
        ("accompaniment", None),
    ]


def test_what_operators_did_to_a_job_is_told(person: Person) -> None:
    job = person.job()
    assert (job["price"], job["requeues"], job["refunded"]) == (10, 0, 0)
    job_id, worker = job["job_id"], person.worker
    path, least = f"/v1/jobs/{job_id}", {"min_version": 2}
    worker.run(AbandonSeparation(job_id, "its file cannot be read"))
    ended = person.http.get(path, params=least).json()
    assert (ended["failure"]["code"], ended["price"]) == ("failed_by_operator", 10)
    worker.run(RequeueSeparation(job_id, "it can now"))
    anew = person.http.get(path, params={"min_version": 3}).json()
    assert (anew["status"], anew["requeues"], anew["price"]) == ("queued", 1, 0)
    paid = person.job()
    worker.finish(paid, person.user_id)
    worker.run(RefundSeparation(paid["job_id"], "it hisses"))
    given = person.http.get(
        f"/v1/jobs/{paid['job_id']}", params={"min_version": paid["version"] + FINISHED + 1}
    ).json()
    assert (given["price"], given["refunded"], given["status"]) == (10, 10, "completed")
