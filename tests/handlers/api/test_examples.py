"""The document shows what really was sent and answered, and gives nothing away with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from handlers.api.contract import contract
from handlers.api.particulars import recorded
from tests.handlers.api.documented import validator

JSON, PROBLEM = "application/json", "application/problem+json"
SECRET = {
    "API key": r"ssk_\w",
    "webhook secret": r"whsec_\w",
    "token": r"eyJ[\w-]+\.[\w-]+\.(?!c2ln)",
    "signed URL": r"X-Amz-Signature=(?!\.\.\.)|X-Amz-Credential",
    "this machine": r"//(127\.0\.0\.1|localhost)",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return contract()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in document["paths"].values():
        yield from each.values()


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    bare = []
    for operation in operations(document):
        answers = (r for s, r in operation["responses"].items() if s.startswith("2"))
        for place in (operation.get("requestBody", {}), *answers):
            media = place.get("content", {}).get(JSON)
            if media is not None and "examples" not in media:
                bare.append(operation["operationId"])
    assert not bare


def test_examples_fit(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, media in answer.get("content", {}).items():
                for shown in media.get("examples", {}).values() if kind.endswith("json") else ():
                    value = shown.get("value") or problem(document, shown["$ref"])
                    validator(operation["operationId"], status, kind).validate(value)


def problem(document: dict[str, Any], reference: str) -> Any:
    return document["components"]["examples"][reference.rpartition("/")[2]]["value"]


def test_examples_are_of_operations_that_there_are(document: dict[str, Any]) -> None:
    known = {operation["operationId"] for operation in operations(document)}
    assert recorded()["operations"].keys() <= known


@pytest.mark.parametrize("what", SECRET)
def test_examples_keep_secrets(what: str) -> None:
    assert not re.findall(SECRET[what], msgspec.json.encode(recorded()).decode())
