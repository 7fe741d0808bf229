"""Holds what goes over the wire to the OpenAPI document that the API serves."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from handlers.api.contract import contract
from tests.handlers.api.recording import RECORDING, record

# It comes with what the emulator is made of.
jsonschema: Any = pytest.importorskip("jsonschema")
_DIALECT = jsonschema.Draft202012Validator


def assert_schema(schema: dict[str, Any]) -> None:
    """The schema is one."""
    _DIALECT.check_schema(schema)


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation behind a request, if there is one."""
    # A fixed path before one with a parameter.
    for template in sorted(document["paths"], key=lambda t: "{" in t):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method in document["paths"][template]:
            operation: dict[str, Any] = document["paths"][template][method]
            return operation
    return None


def events_of(media: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schema of what each event of a stream carries, by the event's name."""
    each = [way["properties"] for way in media["x-itemSchema"]["oneOf"]]
    return {told["event"]["const"]: told["data"]["contentSchema"] for told in each}


@cache
def _contract() -> dict[str, Any]:
    return contract()


@cache
def validator(operation_id: str, status: str, kind: str) -> Any:
    """Of the bodies of that answer."""
    for operations in _contract()["paths"].values():
        for operation in operations.values():
            if operation["operationId"] == operation_id:
                schema = operation["responses"][status]["content"][kind]["schema"]
                return jsonschema_rs.validator_for(
                    {**schema, "components": _contract()["components"]}, validate_formats=True
                )
    raise AssertionError(operation_id)


def hold(answer: httpx.Response) -> None:
    """Whatever test got this answer: the document declares its status, problem code, media type,
    headers and body.
    """
    method, path = answer.request.method.lower(), answer.request.url.path
    operation = operation_of(_contract(), method, path)
    if operation is None or path.startswith("/schema"):
        return  # no operation of ours: an unknown path, a preflight, another server
    status, name = str(answer.status_code), operation["operationId"]
    assert status in operation["responses"], f"{name} does not declare {status}"
    declared = operation["responses"][status]
    for header, told in declared.get("headers", {}).items():
        assert header in answer.headers or not told.get("required"), f"{name} {status}: {header}"
    empty = answer.headers.get("content-length") == "0"
    kind = "" if empty else answer.headers.get("content-type", "").partition(";")[0]
    assert not kind or kind in declared.get("content", {}), f"{name} {status} is sent as {kind}"
    if kind.endswith("json"):
        answer.read()
        try:
            validator(name, status, kind).validate(answer.json())
        except jsonschema_rs.ValidationError as error:
            raise AssertionError(f"{name} {status}: {error}") from error
    if RECORDING and (kind.endswith("json") or kind == "text/plain"):  # others may have no end
        answer.read()
        record(operation, answer)


class Document:
    """The document, and which of its answers were seen."""

    def __init__(self, http: httpx.Client) -> None:
        answer = http.get("/schema/openapi.json")
        assert answer.headers["content-type"].partition(";")[0] == "application/json"
        self.text: dict[str, Any] = answer.json()
        self.seen: set[tuple[str, int]] = set()

    def watch(self, http: httpx.Client) -> None:
        """Check every answer that this client gets, and what it had sent for it."""
        http.event_hooks["response"].append(self._check)

    def watch_refusals(self, http: httpx.Client) -> None:
        """Check every problem document; other answers may be streams without an end."""

        def check(answer: httpx.Response) -> None:
            if answer.headers.get("content-type") == "application/problem+json":
                self._check(answer)

        http.event_hooks["response"].append(check)

    @property
    def operations(self) -> set[str]:
        """Every operationId."""
        return {o["operationId"] for each in self.text["paths"].values() for o in each.values()}

    def _check(self, answer: httpx.Response) -> None:
        answer.read()
        request = answer.request
        operation = self._operation(request.method.lower(), request.url.path)
        self.seen.add((operation["operationId"], answer.status_code))
        declared = operation["responses"][str(answer.status_code)]
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.content and kind == "text/event-stream":
            self._check_events(declared["content"][kind], answer.text)
        elif answer.content:
            text = kind.startswith("text/") or kind == "application/jsonl"
            body = msgspec.json.encode(answer.text) if text else answer.content
            self.hold(declared["content"][kind]["schema"], body)
        else:
            assert "content" not in declared
        for name, header in declared["headers"].items():
            assert name in answer.headers or not header.get("required"), name
        if answer.is_success:
            self._check_sent(operation, request)

    def _check_events(self, media: dict[str, Any], text: str) -> None:
        for event in text.rstrip("\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in event.split("\n"))
            if "data" in fields:  # else it is a comment or says when to come back
                self.hold(events_of(media)[fields["event"]], fields["data"].encode())

    def _check_sent(self, operation: dict[str, Any], request: httpx.Request) -> None:
        body = operation.get("requestBody")
        if request.content:
            assert body is not None
            self.hold(body["content"]["application/json"]["schema"], request.content)
        else:
            assert not (body or {}).get("required", False)
        for parameter in operation.get("parameters") or ():
            place = request.headers if parameter["in"] == "header" else request.url.params
            value = place.get(parameter["name"])
            if value is not None:
                known: Any = value
                schema = parameter["schema"]
                if any(s.get("type") == "integer" for s in (schema, *schema.get("oneOf", ()))):
                    known = int(value)
                self.hold(schema, msgspec.json.encode(known))

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        found = operation_of(self.text, method, path)
        assert found, f"{method} {path} is not in the document"
        return found

    def hold(self, schema: dict[str, Any], body: bytes) -> None:
        """The JSON fits the schema, which may refer to others of the document."""
        whole = {**schema, "components": self.text["components"]}
        _DIALECT(whole, format_checker=_DIALECT.FORMAT_CHECKER).validate(msgspec.json.decode(body))
