from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import SONG, Person, assert_problem, client, send


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nope", "/v2/jobs", "/schema/x", "/schema/a/b"])
def test_unknown_routes(anyone: httpx.Client, path: str) -> None:
    assert_problem(anyone.get(path), 404, "not_found")


def test_methods_that_a_route_does_not_take(anyone: httpx.Client) -> None:
    answer = anyone.put("/v1/jobs")
    assert_problem(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= {m.strip() for m in answer.headers["allow"].split(",")}


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"", 422, "invalid_request", "#"),
        (b"{", 400, "malformed_request", None),
        (b'{"filename": "a", "size": 1} x', 400, "malformed_request", None),
        (b'{"filename": "\xff", "size": 1}', 400, "malformed_request", None),
        (b'{"filename": "\\ud800", "size": 1}', 400, "malformed_request", None),
        (b"[" * 30_000, 422, "invalid_request", "#"),
        (b'{"filename":' + b"[" * 30_000, 422, "invalid_request", "#/filename"),
        (b"null", 422, "invalid_request", "#"),
        (b"[]", 422, "invalid_request", "#"),
        (b'{"filename": "a"}', 422, "invalid_request", "#/size"),
        (b'{"filename": "a", "size": "5"}', 422, "invalid_request", "#/size"),
        (b'{"filename": "a", "size": 5.0}', 422, "invalid_request", "#/size"),
        (b'{"filename": "a", "size": true}', 422, "invalid_request", "#/size"),
        (b'{"filename": null, "size": 5}', 422, "invalid_request", "#/filename"),
        (b'{"filename": "a", "size": 5, "a/b~": 1}', 422, "invalid_request", "#/a~1b~0"),
    ],
)
def test_bodies_that_are_wrong(
    person: Person, body: bytes, status: int, code: str, pointer: str | None
) -> None:
    headers = {"Content-Type": "application/json"}
    problem = assert_problem(
        person.http.post("/v1/uploads", content=body, headers=headers), status, code
    )
    if pointer is not None:
        assert [e["pointer"] for e in problem["errors"]] == [pointer]


def test_a_pointer_into_a_list(person: Person) -> None:
    asset_id = person.begin().json()["asset_id"]
    body = {"parts": [{"number": 1, "etag": "x"}, {"number": "2", "etag": "x"}]}
    answer = person.http.post(f"/v1/uploads/{asset_id}/complete", json=body)
    problem = assert_problem(answer, 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "#/parts/1/number"


def test_bodies_that_are_too_large(person: Person) -> None:
    huge = b'{"filename": "' + b"x" * 100_000 + b'", "size": 1}'
    assert_problem(person.http.post("/v1/uploads", content=huge), 413, "body_too_large")

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(huge), 10_000):
            yield huge[start : start + 10_000]

    answer = person.http.post("/v1/uploads", content=chunks())
    assert_problem(answer, 413, "body_too_large")


def test_ten_thousand_parts_fit(person: Person) -> None:
    asset_id = person.begin(4 * 1024**3).json()["asset_id"]
    parts = [{"number": n, "etag": '"' + "0" * 32 + '"'} for n in range(1, 10_001)]
    answer = person.http.post(f"/v1/uploads/{asset_id}/complete", json={"parts": parts})
    assert len(assert_problem(answer, 422, "parts_mismatch")["errors"]) == 100


def test_bodies_of_another_kind(person: Person) -> None:
    answer = person.http.post("/v1/uploads", data={"filename": "a", "size": "1"})
    assert_problem(answer, 415, "unsupported_media_type")


def test_request_ids_are_kept_when_sane_and_given_when_not(anyone: httpx.Client) -> None:
    kept = anyone.get("/healthz", headers={"X-Request-Id": "my-own.id:7"})
    assert kept.headers["x-request-id"] == "my-own.id:7"
    for wrong in ("", "two words", "x" * 101, "<script>"):
        given = anyone.get("/healthz", headers={"X-Request-Id": wrong}).headers["x-request-id"]
        assert given.startswith("req_")


def test_the_request_id_is_the_events_correlation(person: Person, served: Served) -> None:
    answer = person.http.post(
        "/v1/uploads",
        json={"filename": "a.mp3", "size": 3},
        headers={"X-Request-Id": "corr-1", "Idempotency-Key": "k"},
    )
    (commit,) = served.application.store.read(answer.json()["stream"])
    assert (commit.corr, commit.actor, commit.cause) == ("corr-1", person.user_id, "")
    assert commit.cmd.startswith("cmd_")


def test_what_we_did_not_foresee_leaks_nothing(person: Person, served: Served) -> None:
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        catalog = type("Broken", (), {})()  # an attribute error deep inside
        patch.setitem(served.application.__dict__, "catalog", catalog)
        answer = person.http.get("/v1/capabilities")
    problem = assert_problem(answer, 500, "internal_error")
    assert "Broken" not in answer.text
    assert "Traceback" not in answer.text
    (failed,) = [line for line in logs if line["event"] == "request failed"]
    assert failed["request_id"] == problem["request_id"]
    assert "Broken" in str(failed["exc_info"])


def test_logs_have_who_and_what_and_no_secret(person: Person) -> None:
    with capture_logs() as logs:
        session = person.begin(filename="secret-name.mp3", key="secret-key").json()
        send(session, SONG)
        path = f"/v1/uploads/{session['asset_id']}"
        person.http.get(path, params={"after": 0, "token": "secret-query"})
        person.http.get("/v1/nope")
        requests = _lines_of_requests(logs, 3)
    assert [(r["method"], r["status"], r["user_id"]) for r in requests] == [
        ("POST", 201, person.user_id),
        ("GET", 200, person.user_id),
        ("GET", 404, None),
    ]
    assert requests[1]["path"] == path
    assert requests[1]["ms"] > 0
    text = str(logs)
    token = person.http.headers["authorization"].partition(" ")[2]
    for secret in ("secret", "X-Amz", token, token.rpartition(".")[2]):
        assert secret not in text


def _lines_of_requests(logs: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """A line is written when all is done, which the client does not wait for."""
    for _ in range(200):
        requests = [line for line in logs if line["event"] == "request"]
        if len(requests) >= count:
            break
        time.sleep(0.01)
    return requests


def test_a_table_that_does_not_answer(settings: Settings, person: Person) -> None:
    gone = msgspec.structs.replace(settings, events_table="no-such-table")
    with serving(Application(gone)) as running, client(running.url) as http:
        ready = http.get("/readyz")
        assert assert_problem(ready, 503, "not_ready")["failing"] == ["events"]
        assert "retry-after" in ready.headers
        assert http.get("/healthz").json() == {"status": "ok"}
        answer = http.get("/v1/credits", headers=dict(person.http.headers))
        problem = assert_problem(answer, 503, "unavailable")
        assert problem["retryable"]
        assert "retry-after" in answer.headers
        assert "no-such-table" not in answer.text
        assert "DynamoDB" not in answer.text
