"""What pages of other origins may send and read."""

from __future__ import annotations

import httpx

from handlers.api.app import _cors
from tests.handlers.api.conftest import ORIGIN


def words(answer: httpx.Response, header: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers[header].split(",")}


def test_a_page_may_send_and_read_what_clients_need(anyone: httpx.Client) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    before = anyone.options("/v1/jobs", headers=asked)
    assert before.headers["access-control-allow-origin"] == ORIGIN
    assert before.headers["access-control-allow-credentials"] == "true"
    assert words(before, "access-control-allow-headers") >= {
        "authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id",
        "traceparent", "tracestate", "x-request-id",
    }  # fmt: skip
    answer = anyone.get("/v1/capabilities", headers={"Origin": ORIGIN})
    assert words(answer, "access-control-expose-headers") >= {
        "etag", "location", "retry-after", "www-authenticate", "x-request-id",
        "idempotent-replayed", "ratelimit", "ratelimit-policy",
    }  # fmt: skip
    assert (
        "access-control-allow-origin"
        not in anyone.get("/v1/capabilities", headers={"Origin": "https://evil.example"}).headers
    )


def test_cookies_only_from_origins_that_are_named() -> None:
    assert _cors("https://a.example, https://b.example").allow_credentials
    for open_to_all in ("*", "https://a.example,*", ""):
        assert not _cors(open_to_all).allow_credentials
