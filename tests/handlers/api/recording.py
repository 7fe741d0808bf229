"""Real examples for the OpenAPI document, taken from what tests send and get:

    RECORD_EXAMPLES=1 pytest tests/handlers/api -m "not long"

Of each operation the first request that succeeded and its answer, of each problem code the first
document. What is secret or of this machine is replaced; lists are cut. An operation that has
its examples keeps them: take it out of the file to have it recorded anew.
"""

from __future__ import annotations

import atexit
import os
import re
from typing import Any

import httpx
import msgspec

from handlers.api.particulars import EXAMPLES, recorded

RECORDING = bool(os.environ.get("RECORD_EXAMPLES"))
_MOST = 2
_REPLACED = (
    # Presigned URLs, tokens, API keys, webhook secrets, addresses of this machine.
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://storage.example.com"),
    (re.compile(r"(https://storage\.example\.com/[^?\"]*)\?[^\"]*"), r"\1?X-Amz-Signature=..."),
    (re.compile(r"\b(t[0-9a-f]{12})(?=-)"), "splitsound"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3IifQ.c2ln"),
    (re.compile(r"\bssk_\w{40,}"), "ssk_..."),
    (re.compile(r"\bwhsec_[\w+/=]+"), "whsec_..."),
    (re.compile(r"\b[0-9a-f]{32}@example\.org", re.IGNORECASE), "ada@example.org"),
)


def record(operation: dict[str, Any], answer: httpx.Response) -> None:
    """Keep what is new in it."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if not answer.content or kind.startswith("text/event-stream"):
        return
    if kind == "application/problem+json":
        told = _plain(answer.json())
        recorded()["problems"].setdefault(told["code"], told)
        return
    if not answer.is_success:
        return
    kept = recorded()["operations"].setdefault(operation["operationId"], {})
    if answer.request.content and "request" not in kept and "json" in _sent_as(answer.request):
        kept["request"] = _plain(msgspec.json.decode(answer.request.content))
    answers = kept.setdefault("answers", {})
    if kind.endswith("json") and (
        "request" in kept or not answer.request.content or "requestBody" not in operation
    ):
        answers.setdefault(str(answer.status_code), _plain(answer.json()))
    elif kind.startswith("text/"):
        answers.setdefault(str(answer.status_code), answer.text[:200])


def _sent_as(request: httpx.Request) -> str:
    return str(request.headers.get("content-type", ""))


def _plain(value: Any) -> Any:
    text = msgspec.json.encode(_cut(value)).decode()
    for pattern, instead in _REPLACED:
        text = pattern.sub(instead, text)
    return msgspec.json.decode(text)


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(each) for each in value[:_MOST]]
    if isinstance(value, dict):
        return {name: _cut(each) for name, each in value.items()}
    return value


def _write() -> None:
    told = msgspec.json.format(msgspec.json.encode(recorded(), order="sorted"), indent=1)
    EXAMPLES.write_bytes(told + b"\n")


if RECORDING:
    atexit.register(_write)
