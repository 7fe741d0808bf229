from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from domain.asset import MIB
from tests.handlers.api.conftest import ORIGIN, Served
from tests.handlers.api.people import S3, SONG, Person, assert_problem, insist, send

BIG = bytes(range(256)) * (8 * 4096) + b"the last part is short"


def test_a_file_of_two_parts_goes_up_and_completes(person: Person) -> None:
    answer = person.begin(len(BIG), content_type="audio/mpeg")
    assert answer.status_code == 201
    session = answer.json()
    assert answer.headers["location"] == f"/v1/uploads/{session['asset_id']}"
    assert (session["part_size"], session["part_count"]) == (8 * MIB, 2)
    assert [p["size"] for p in session["missing"]] == [8 * MIB, len(BIG) - 8 * MIB]
    assert session["received"] == []
    assert session["expires_at"].endswith("Z")
    etags = send(session, BIG)
    parts = [{"number": n, "etag": e} for n, e in etags.items()]
    done = person.http.post(f"/v1/uploads/{session['asset_id']}/complete", json={"parts": parts})
    assert done.status_code == 200, done.text
    assert (done.json()["status"], done.json()["missing"]) == ("uploaded", [])


def test_an_interrupted_upload_resumes_with_what_is_missing(person: Person) -> None:
    session = person.begin(len(BIG)).json()
    path = f"/v1/uploads/{session['asset_id']}"
    sent = send(session, BIG, most=1)
    resumed = person.http.get(path).json()
    assert [(p["number"], p["etag"], p["size"]) for p in resumed["received"]] == [
        (1, sent[1], 8 * MIB)
    ]
    assert [p["number"] for p in resumed["missing"]] == [2]
    send(resumed, BIG)
    assert person.http.post(f"{path}/complete").status_code == 200
    after = person.http.get(path).json()
    assert (after["status"], after["received"], after["missing"]) == ("uploaded", [], [])


def test_at_most_500_urls_an_answer_and_the_rest_follow(person: Person) -> None:
    session = person.begin(4 * 1024**3).json()
    assert session["part_count"] == 512
    assert len(session["missing"]) == 500
    assert session["next_after"] == 500
    path = f"/v1/uploads/{session['asset_id']}"
    rest = person.http.get(path, params={"after": 500}).json()
    assert [p["number"] for p in rest["missing"]] == list(range(501, 513))
    assert rest["next_after"] is None


def test_the_same_key_is_the_same_upload_and_another_body_is_refused(
    person: Person, new_person: Callable[[], Person]
) -> None:
    first = person.begin(key="k-1")
    again = person.begin(key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json().keys() == again.json().keys()
    assert first.json()["asset_id"] == again.json()["asset_id"]
    other = person.begin(size=7, key="k-1")
    assert_problem(other, 422, "idempotency_key_reused")
    assert new_person().begin(key="k-1").json()["asset_id"] != first.json()["asset_id"]
    assert person.begin().json()["asset_id"] != person.begin().json()["asset_id"]


def test_the_same_request_twice_at_once_leaves_one_session(person: Person, served: Served) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: insist(lambda: person.begin(key="race")), range(4)))
    assert [a.status_code for a in answers] == [201] * 4
    assert len({a.json()["asset_id"] for a in answers}) == 1
    s3, bucket = served.application.client("s3"), served.application.settings.media_bucket
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert len([u for u in listed if person.user_id in u["Key"]]) == 1
    send(answers[0].json(), SONG)
    done = person.http.post(f"/v1/uploads/{answers[0].json()['asset_id']}/complete")
    assert done.status_code == 200


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
def test_a_malformed_idempotency_key(person: Person, key: str) -> None:
    answer = person.http.post(
        "/v1/uploads",
        json={"filename": "a.mp3", "size": 3},
        headers={"Idempotency-Key": key},
    )
    errors = assert_problem(answer, 422, "invalid_request")["errors"]
    assert errors[0]["header"] == "Idempotency-Key"


def test_completing_twice_is_harmless(person: Person) -> None:
    done = person.upload()
    again = person.http.post(f"/v1/uploads/{done['asset_id']}/complete")
    assert again.status_code == 200
    assert again.json()["version"] == done["version"]


def test_completion_refuses_a_wrong_etag_and_names_the_part(person: Person) -> None:
    session = person.begin().json()
    etag = send(session, SONG)[1]
    path = f"/v1/uploads/{session['asset_id']}/complete"
    wrong = {"parts": [{"number": 1, "etag": '"' + "0" * 32 + '"'}]}
    problem = assert_problem(person.http.post(path, json=wrong), 422, "parts_mismatch")
    assert [(e["number"], e["pointer"]) for e in problem["errors"]] == [(1, "#/parts/0")]
    bare = {"parts": [{"number": 1, "etag": etag.strip('"')}]}
    assert person.http.post(path, json=bare).status_code == 200


def test_completion_refuses_a_missing_part(person: Person) -> None:
    session = person.begin(len(BIG)).json()
    etag = send(session, BIG, most=1)[1]
    path = f"/v1/uploads/{session['asset_id']}/complete"
    for body in (None, {"parts": [{"number": 1, "etag": etag}]}):
        problem = assert_problem(person.http.post(path, json=body), 422, "parts_mismatch")
        assert {e["number"] for e in problem["errors"]} == {2}
    assert person.http.get(f"/v1/library/{session['asset_id']}").json()["status"] == "uploading"


def test_completion_refuses_a_part_of_the_wrong_size(person: Person) -> None:
    session = person.begin(len(SONG)).json()
    S3.put(session["missing"][0]["url"], content=SONG[:-1])
    path = f"/v1/uploads/{session['asset_id']}"
    problem = assert_problem(person.http.post(f"{path}/complete"), 422, "parts_mismatch")
    assert problem["errors"][0]["number"] == 1
    resumed = person.http.get(path).json()
    assert [p["number"] for p in resumed["missing"]] == [1]  # it is to be sent again
    send(resumed, SONG)
    assert person.http.post(f"{path}/complete").status_code == 200


def test_completion_refuses_parts_out_of_order_or_named_twice(person: Person) -> None:
    session = person.begin(len(BIG)).json()
    etags = send(session, BIG)
    path = f"/v1/uploads/{session['asset_id']}/complete"
    for numbers in ([2, 1], [1, 1, 2], [1, 2, 3]):
        parts = [{"number": n, "etag": etags.get(n, "x")} for n in numbers]
        assert_problem(person.http.post(path, json={"parts": parts}), 422, "parts_mismatch")


def test_a_stranger_finds_nothing(person: Person, new_person: Callable[[], Person]) -> None:
    session = person.begin().json()
    send(session, SONG)
    path = f"/v1/uploads/{session['asset_id']}"
    stranger = new_person().http
    for answer in (
        stranger.get(path),
        stranger.post(f"{path}/complete"),
        stranger.delete(path),
        stranger.get(f"/v1/library/{session['asset_id']}"),
    ):
        assert_problem(answer, 404, "not_found")
    assert person.http.post(f"{path}/complete").status_code == 200


@pytest.mark.parametrize(
    "asset_id", ["ast_nope", "ast_" + "0" * 26, "job_" + "0" * 26, "x" * 3000, "%00", "ast_%F0"]
)
def test_ids_of_every_wrong_shape(person: Person, asset_id: str) -> None:
    assert_problem(person.http.get(f"/v1/uploads/{asset_id}"), 404, "not_found")
    assert_problem(person.http.post(f"/v1/uploads/{asset_id}/complete"), 404, "not_found")
    assert_problem(person.http.delete(f"/v1/uploads/{asset_id}"), 404, "not_found")


def test_aborting_drops_the_parts_and_is_repeatable(person: Person, served: Served) -> None:
    session = person.begin().json()
    send(session, SONG)
    path = f"/v1/uploads/{session['asset_id']}"
    for _ in range(2):
        answer = person.http.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
    s3 = served.application.client("s3")
    prefix = f"user_{person.user_id}/"
    listed = s3.list_multipart_uploads(Bucket=served.application.settings.media_bucket)
    assert not [u for u in listed.get("Uploads", []) if u["Key"].startswith(prefix)]
    assert person.http.get(path).json()["status"] == "aborted"
    assert_problem(person.http.post(f"{path}/complete"), 409, "not_allowed_now")


def test_a_complete_upload_is_not_aborted(person: Person) -> None:
    done = person.upload()
    answer = person.http.delete(f"/v1/uploads/{done['asset_id']}")
    assert_problem(answer, 409, "not_allowed_now")


def _lose(served: Served, asset_id: str) -> None:
    """What an emulator that was killed does: it forgets the multipart upload."""
    s3, bucket = served.application.client("s3"), served.application.settings.media_bucket
    for upload in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]:
        if asset_id in upload["Key"]:
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


@pytest.mark.parametrize("verb", ["get", "complete", "begin"])
def test_an_upload_that_storage_lost_has_expired(person: Person, served: Served, verb: str) -> None:
    session = person.begin(key="lost").json()
    send(session, SONG)
    _lose(served, session["asset_id"])
    path = f"/v1/uploads/{session['asset_id']}"
    ask: dict[str, Callable[[], httpx.Response]] = {
        "get": lambda: person.http.get(path),
        "complete": lambda: person.http.post(f"{path}/complete"),
        "begin": lambda: person.begin(key="lost"),
    }
    assert_problem(ask[verb](), 410, "upload_expired")
    for other in ask.values():
        assert_problem(other(), 410, "upload_expired")
    asset = person.http.get(f"/v1/library/{session['asset_id']}").json()
    assert (asset["status"], asset["failure"]["code"]) == ("aborted", "upload_expired")


@pytest.mark.parametrize("verb", ["get", "complete"])
def test_a_crash_after_s3_joined_the_parts_heals(person: Person, served: Served, verb: str) -> None:
    session = person.begin().json()
    etag = send(session, SONG)[1]
    s3, bucket = served.application.client("s3"), served.application.settings.media_bucket
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    (upload,) = [u for u in listed if session["asset_id"] in u["Key"]]
    s3.complete_multipart_upload(
        Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
    )  # fmt: skip
    path = f"/v1/uploads/{session['asset_id']}"
    answer = person.http.get(path) if verb == "get" else person.http.post(f"{path}/complete")
    assert (answer.status_code, answer.json()["status"]) == (200, "uploaded")


def test_sizes_are_checked_before_anything_is_stored(person: Person, served: Served) -> None:
    limit = served.application.settings.max_bytes
    assert_problem(person.begin(0), 422, "invalid_request")
    problem = assert_problem(person.begin(limit + 1), 413, "upload_too_large")
    assert problem["limit"] == limit
    assert_problem(person.begin(-1), 422, "invalid_request")
    assert_problem(person.begin(10**30), 413, "upload_too_large")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/home/me/Song.mp3", "Song.mp3"),
        ("C:\\Music\\Söng ♫.mp3", "Söng ♫.mp3"),
        ("../../etc/passwd", "passwd"),
        ("a\x00b\r\nc\u202e.mp3", "abc.mp3"),
        (" padded.mp3 ", "padded.mp3"),
    ],
)
def test_file_names_lose_folders_and_control_characters(
    person: Person, given: str, kept: str
) -> None:
    assert person.begin(filename=given).json()["filename"] == kept


@pytest.mark.parametrize("name", ["", " ", "/", "..", "music/", "\x00", "x" * 256])
def test_file_names_that_are_none(person: Person, name: str) -> None:
    problem = assert_problem(person.begin(filename=name), 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "#/filename"


def test_a_presigned_part_can_be_sent_and_read_across_origins(person: Person) -> None:
    url = person.begin().json()["missing"][0]["url"]
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    preflight = S3.options(url, headers=asked)
    assert preflight.headers["access-control-allow-origin"] in (ORIGIN, "*")
    sent = S3.put(url, content=SONG, headers={"Origin": ORIGIN})
    assert "etag" in sent.headers["access-control-expose-headers"].lower()
    tampered = S3.put(url.replace("partNumber=1", "partNumber=2"), content=SONG)
    assert tampered.status_code == 403
