"""Holds what goes over the wire to the OpenAPI document that the API serves."""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec
import pytest

# It comes with what the emulator is made of.
jsonschema: Any = pytest.importorskip("jsonschema")
_DIALECT = jsonschema.Draft202012Validator


def assert_schema(schema: dict[str, Any]) -> None:
    """The schema is one."""
    _DIALECT.check_schema(schema)


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
        if answer.content:
            kind = answer.headers["content-type"].partition(";")[0]
            text = kind.startswith("text/") or kind == "application/jsonl"
            body = msgspec.json.encode(answer.text) if text else answer.content
            self.hold(declared["content"][kind]["schema"], body)
        else:
            assert "content" not in declared
        for name, header in declared["headers"].items():
            assert name in answer.headers or not header.get("required"), name
        if answer.is_success:
            self._check_sent(operation, request)

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
        # A fixed path before one with a parameter.
        for template in sorted(self.text["paths"], key=lambda t: "{" in t):
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path) and method in self.text["paths"][template]:
                operation: dict[str, Any] = self.text["paths"][template][method]
                return operation
        raise AssertionError(f"{method} {path} is not in the document")

    def hold(self, schema: dict[str, Any], body: bytes) -> None:
        """The JSON fits the schema, which may refer to others of the document."""
        whole = {**schema, "components": self.text["components"]}
        _DIALECT(whole, format_checker=_DIALECT.FORMAT_CHECKER).validate(msgspec.json.decode(body))
