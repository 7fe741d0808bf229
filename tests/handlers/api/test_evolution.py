"""The API only grows: whoever was promised something by the last release still has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from handlers.api.contract import contract
from handlers.api.patterns import NOT_BLANK, stream_of
from tests.handlers.api.evolution import breaks
from tests.handlers.api.release import released

Document = dict[str, Any]


# What 0.5.0 takes back all the same, and why; the list is empty after `release`.
MEANT = {
    "POST /v1/session: is gone": "anybody could sign in as anybody; see /v1/auth",
    "POST /v1/uploads: body/filename minLength was None, is 1": "it always was a 422",
    "POST /v1/admin/dead-letters/{projection}/{stream}/redrive: needs a body now": (
        "operators say why they act"
    ),
    "POST /v1/webhooks/stripe: header parameter Stripe-Signature is new and required": (
        "without it it always was a 400"
    ),
    r"POST /v1/uploads: body/content_type pattern was ^[!-~]+/[ -~]+\Z, is "
    r"^[!-~]+/[ -~]+(?!\n)$": "the same, in words that JSON Schema has",
    "GET /v1/admin/dead-letters: query parameter projection no more takes any value": (
        "any other always was a 422"
    ),
    **{
        f"{place} pattern was None, is {pattern}": "any other text always was a 404 or a 422"
        for place, pattern in {
            "GET /v1/jobs: query parameter stream": stream_of("job", "job"),
            "GET /v1/library: query parameter stream": stream_of("asset", "ast"),
            "GET /v1/purchases: query parameter stream": stream_of("purchase", "pur"),
            "POST /v1/admin/credits/{user_id}/adjust: body/reason": NOT_BLANK,
            "POST /v1/admin/jobs/{job_id}/fail: body/reason": NOT_BLANK,
            "POST /v1/admin/jobs/{job_id}/refund: body/reason": NOT_BLANK,
            "POST /v1/admin/jobs/{job_id}/requeue: body/reason": NOT_BLANK,
            "POST /v1/admin/pause: body/reason": NOT_BLANK,
            "POST /v1/admin/projections/{name}/rollback: body/reason": NOT_BLANK,
            "POST /v1/admin/resume: body/reason": NOT_BLANK,
        }.items()
    },
}


def test_nothing_that_was_released_is_taken_back() -> None:
    assert set(breaks(released(), contract())) == set(MEANT)


@pytest.fixture(scope="module")
def today() -> Document:
    return contract()


def copied(document: Document) -> Document:
    found: Document = msgspec.json.decode(msgspec.json.encode(document))
    return found


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def operation(document: Document, path: str, method: str) -> Document:
    found: Document = document["paths"][path][method]
    return found


def limit(document: Document) -> Document:
    parameters = operation(document, "/v1/jobs", "get")["parameters"]
    found: Document = next(p for p in parameters if p["name"] == "limit")
    return found


def codes(document: Document) -> list[str]:
    problem = operation(document, "/v1/jobs", "post")["responses"]["409"]["content"]
    found: list[str] = problem["application/problem+json"]["schema"]["properties"]["code"]["enum"]
    return found


def events(document: Document) -> list[Document]:
    content = operation(document, "/v1/events", "get")["responses"]["200"]["content"]
    found: list[Document] = content["text/event-stream"]["x-itemSchema"]["oneOf"]
    return found


def drop(document: Document, name: str, member: str) -> None:
    del schema(document, name)["properties"][member]
    if member in schema(document, name)["required"]:
        schema(document, name)["required"].remove(member)


BREAKING: dict[str, Callable[[Document], object]] = {
    "an operation is gone": lambda d: d["paths"]["/v1/jobs"].pop("post"),
    "a path is gone": lambda d: d["paths"].pop("/v1/quotes"),
    "an operation has another name": lambda d: operation(d, "/v1/jobs", "get").update(
        operationId="jobs"
    ),
    "a public one needs a token": lambda d: operation(d, "/v1/packs", "get").update(
        security=[{"bearer": []}]
    ),
    "a key does not suffice any more": lambda d: operation(d, "/v1/jobs", "get")["security"].pop(),
    "a member of an answer is gone": lambda d: drop(d, "Job", "progress"),
    "a member of an answer may be missing": lambda d: schema(d, "Job")["required"].remove("lane"),
    "a member of an answer may be null": lambda d: schema(d, "Job")["properties"].update(
        price={"anyOf": [{"type": "integer"}, {"type": "null"}]}
    ),
    "a member of an answer is of another type": lambda d: schema(d, "Job")["properties"].update(
        price={"type": "string"}
    ),
    "an integer of an answer may be a fraction": lambda d: schema(d, "Job")["properties"].update(
        price={"type": "number"}
    ),
    "a time is no time any more": lambda d: schema(d, "Job")["properties"]["requested_at"].pop(
        "format"
    ),
    "a member deep in an answer is gone": lambda d: drop(d, "Stem", "peak"),
    "a status of jobs is not told any more": lambda d: schema(d, "Job")["properties"]["status"][
        "enum"
    ].remove("cancelled"),
    "a new member of a request is required": lambda d: schema(d, "NewUpload")["required"].append(
        "content_type"
    ),
    "a member of a request is refused": lambda d: drop(d, "JobWish", "bundle"),
    "null is refused": lambda d: schema(d, "JobWish")["properties"].update(
        prompt={"type": "string", "minLength": 1, "maxLength": 200}
    ),
    "a shorter text is wanted": lambda d: schema(d, "NewUpload")["properties"]["filename"].update(
        maxLength=100
    ),
    "an empty text is refused": lambda d: schema(d, "JobWish")["properties"]["asset_id"].update(
        minLength=3
    ),
    "a larger number is wanted": lambda d: schema(d, "NewUpload")["properties"]["size"].update(
        minimum=1
    ),
    "a pattern is new": lambda d: schema(d, "JobWish")["properties"]["format"].update(
        pattern="^flac$"
    ),
    "a value is no more taken": lambda d: schema(d, "Adjustment")["properties"]["source"][
        "enum"
    ].remove("promotion"),
    "only some values are taken": lambda d: schema(d, "JobWish")["properties"]["format"].update(
        enum=["flac"]
    ),
    "items of a request are narrower": lambda d: schema(d, "NamedPart")["properties"][
        "etag"
    ].update(maxLength=3),
    "a body is wanted": lambda d: operation(d, "/v1/uploads/{asset_id}/complete", "post")[
        "requestBody"
    ].update(required=True),
    "a body is not taken": lambda d: operation(d, "/v1/jobs", "post").pop("requestBody"),
    "a parameter is gone": lambda d: operation(d, "/v1/jobs", "get")["parameters"].remove(limit(d)),
    "a parameter is required": lambda d: limit(d).update(required=True),
    "a new parameter is required": lambda d: operation(d, "/v1/jobs", "get")["parameters"].append(
        {"in": "query", "name": "x", "required": True, "schema": {"type": "string"}}
    ),
    "a parameter is narrower": lambda d: limit(d)["schema"].update(maximum=50),
    "ids look otherwise": lambda d: operation(d, "/v1/jobs/{job_id}", "get")["parameters"][0][
        "schema"
    ].update(pattern="^[0-9]+$"),
    "success has another status": lambda d: operation(d, "/v1/jobs", "post")["responses"].update(
        {"202": operation(d, "/v1/jobs", "post")["responses"].pop("201")}
    ),
    "an answer has another media type": lambda d: operation(d, "/v1/jobs", "get")["responses"][
        "200"
    ].update(content={"application/xml": {"schema": {}}}),
    "a header is gone": lambda d: operation(d, "/v1/jobs", "post")["responses"]["201"][
        "headers"
    ].pop("Location"),
    "a header may be missing": lambda d: operation(d, "/v1/jobs", "get")["responses"]["200"][
        "headers"
    ]["ETag"].update(required=False),
    "an event is not sent any more": lambda d: events(d).pop(0),
    "a member of an event is gone": lambda d: drop(d, "JobChange", "version"),
    "a problem has no code of old": lambda d: codes(d).remove("price_changed"),
    "a problem's code has another status": lambda d: operation(d, "/v1/jobs", "post")[
        "responses"
    ].pop("402"),
}
ADDING: dict[str, Callable[[Document], object]] = {
    "nothing": lambda _: None,
    "an operation": lambda d: d["paths"].update({"/v1/new": copied(d["paths"]["/v1/packs"])}),
    "an optional parameter": lambda d: operation(d, "/v1/jobs", "get")["parameters"].append(
        {"in": "query", "name": "x", "schema": {"type": "string"}}
    ),
    "an optional member of a request": lambda d: schema(d, "JobWish")["properties"].update(
        mood={"type": "string"}
    ),
    "a member of an answer": lambda d: (
        schema(d, "Job")["properties"].update(mood={"type": "string"}),
        schema(d, "Job")["required"].append("mood"),
    ),
    "a status of jobs": lambda d: schema(d, "Job")["properties"]["status"]["enum"].append("held"),
    "a problem code": lambda d: codes(d).append("too_sad"),
    "a problem status": lambda d: operation(d, "/v1/jobs", "get")["responses"].update(
        {"451": {"description": "Forbidden by law."}}
    ),
    "longer texts": lambda d: schema(d, "NewUpload")["properties"]["filename"].update(
        maxLength=9000
    ),
    "a value in a request": lambda d: schema(d, "Adjustment")["properties"]["source"][
        "enum"
    ].append("gift"),
    "a number where an integer was taken": lambda d: schema(d, "NewUpload")["properties"][
        "size"
    ].update(type="number"),
    "no more null in an answer": lambda d: schema(d, "Job")["properties"].update(
        gain_db={"type": "number"}
    ),
    "an event": lambda d: events(d).append(
        msgspec.json.decode(msgspec.json.encode(events(d)[0]).replace(b'"job"', b'"mood"'))
    ),
    "a header": lambda d: operation(d, "/v1/jobs", "get")["responses"]["200"]["headers"].update(
        {"X-Mood": {"schema": {"type": "string"}}}
    ),
    "other words": lambda d: operation(d, "/v1/jobs", "get").update(summary="Jobs"),
}


@pytest.mark.parametrize("what", BREAKING)
def test_what_breaks_is_noticed(today: Document, what: str) -> None:
    changed = copied(today)
    BREAKING[what](changed)
    assert breaks(today, changed) != []


@pytest.mark.parametrize("what", ADDING)
def test_what_is_added_passes(today: Document, what: str) -> None:
    changed = copied(today)
    ADDING[what](changed)
    assert breaks(today, changed) == []
