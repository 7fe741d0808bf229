"""What needs no token: capabilities, health, the OpenAPI document, CORS."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from domain.asset import MIB
from domain.stems import outputs
from infra.operations import Pulse
from infra.operations.pulses import PROJECTOR
from tests.handlers.api.conftest import ORIGIN, Served, note_projector
from tests.handlers.api.people import Person, assert_problem


def test_capabilities(anyone: httpx.Client) -> None:
    offer = anyone.get("/v1/capabilities").json()
    assert offer["default_model"] in [m["name"] for m in offer["models"]]
    for model in offer["models"]:
        assert model.keys() == {
            "name", "title", "stems", "credits_per_second", "approximate", "description",
            "paused", "outputs", "takes_prompt", "prompts", "adds_up", "hosted", "gpu", "version",
        }  # fmt: skip
        assert model["outputs"] == list(outputs(tuple(model["stems"])))
    formats = {each["name"]: each for each in offer["formats"]}
    assert list(formats) == ["flac", "wav", "wav16", "wav32f", "mp3", "aac", "opus"]
    assert [name for name in formats if not formats[name]["lossless"]] == ["mp3", "aac", "opus"]
    assert formats["mp3"] == {
        "name": "mp3", "extension": "mp3", "media_type": "audio/mpeg", "max_rate": 48_000,
        "rates": [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000],
        "lossless": False, "floating": False,
    }  # fmt: skip
    assert offer["limits"] == {"max_seconds": 10_800, "max_bytes": 4 * 1024**3}
    assert offer["price_list"]
    assert offer["upload_parts"] == {
        "smallest": 8 * MIB, "largest": 8 * MIB, "most_parts": 512, "urls_per_answer": 500,
    }  # fmt: skip


def test_health(anyone: httpx.Client) -> None:
    assert anyone.get("/healthz").json() == {"status": "ok"}
    assert anyone.get("/readyz").json() == {"status": "ok"}


def test_preflight(anyone: httpx.Client) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,if-none-match",
    }
    answer = anyone.options("/v1/jobs", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert {"authorization", "if-none-match"} <= {h.strip() for h in allowed.split(",")}
    foreign = anyone.options("/v1/jobs", headers={**asked, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize("path", ["/v1/credits", "/v1/nope", "/v1/jobs/job_x"])
def test_answers_and_errors_are_readable_across_origins(person: Person, path: str) -> None:
    answer = person.http.get(path, headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("location", "etag", "retry-after", "x-request-id", "www-authenticate"):
        assert name in exposed
    foreign = person.http.get(path, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


def test_answers_are_not_stored(person: Person) -> None:
    answer = person.http.post("/v1/quotes", json={"asset_id": person.song()})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_openapi_document(anyone: httpx.Client) -> None:
    answer = anyone.get("/schema/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/uploads/{asset_id}/complete" in document["paths"]
    schemas = document["components"]["schemas"]
    for name in ("NewUpload", "Completion", "NamedPart", "JobWish"):
        assert schemas[name]["additionalProperties"] is False
    for path, operations in document["paths"].items():
        for operation in operations.values():
            public = (
                "/v1/capabilities", "/v1/packs", "/v1/webhooks/stripe", "/v1/auth/providers",
                "/v1/auth/{provider}/login", "/v1/auth/callback", "/v1/auth/refresh",
                "/v1/auth/logout",
            )  # fmt: skip
            personal = path == "/metrics" or (path.startswith("/v1") and path not in public)
            assert ({"bearer": []} in operation.get("security", [])) == personal, path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], path
            by_cookie = path == "/v1/auth/refresh"
            assert ("401" in operation["responses"]) == (personal or by_cookie)
    job = document["paths"]["/v1/jobs"]["post"]
    statuses = {201, 400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 503}
    assert {int(s) for s in job["responses"]} >= statuses
    assert "Location" in job["responses"]["201"]["headers"]
    assert [p["name"] for p in job["parameters"]] == ["Idempotency-Key"]


def test_no_page_loads_scripts_from_elsewhere(anyone: httpx.Client) -> None:
    for path in ("/schema", "/schema/swagger", "/schema/redoc", "/schema/elements"):
        answer = anyone.get(path)
        assert "html" not in answer.headers["content-type"]
        assert "<script" not in answer.text


def test_readiness_fails_when_no_pulse_came_through_the_projectors_queue(
    served: Served, anyone: httpx.Client
) -> None:
    application = served.application
    now = application.clock.now()
    try:
        application.pulses.note(PROJECTOR, Pulse("test", now - 60_000, now - 60_000))
        problem = assert_problem(anyone.get("/readyz"), 503, "not_ready")
        assert problem["failing"] == ["projector"]
        assert "no pulse has come through the projector's queue; the last 6" in problem["detail"]
        # One that says so itself, without a pulse that went through its queue, is not believed.
        application.pulses.note(PROJECTOR, Pulse("test", 0, now))
        assert_problem(anyone.get("/readyz"), 503, "not_ready")
    finally:
        note_projector(application)


def test_options_tell_every_method_of_a_path(person: Person) -> None:
    for path, methods in (
        ("/v1/jobs", "GET, OPTIONS, POST"),
        ("/v1/jobs/job_1", "DELETE, GET, OPTIONS"),
        ("/v1/packs", "GET, OPTIONS"),
    ):
        assert person.http.options(path).headers["allow"] == methods
