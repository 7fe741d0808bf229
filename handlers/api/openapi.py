"""The OpenAPI document: what Litestar derives from the routes, made true where it is not.

Litestar leaves out problem documents and ``additionalProperties``, and declares a 400 of its
own for every validation error; see ``_corrected``.
"""

from __future__ import annotations

from copy import deepcopy
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Router
from litestar.datastructures import ResponseHeader
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from handlers.api.problems import MEDIA_TYPE, Problem

SCHEME = "bearer"
LOCATION = ResponseHeader(
    name="Location", documentation_only=True, description="Path of what was created."
)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The problem documents that a route may answer with."""
    return {
        status: ResponseSpec(
            Problem,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


def configuration() -> OpenAPIConfig:
    """The document and nothing else: Litestar's own pages load scripts from a CDN."""
    return OpenAPIConfig(
        title="SplitSound",
        version="1",
        description="Songs in, stems out. Errors are RFC 9457 problem documents.",
        use_handler_docstrings=True,
        path="/schema",
        render_plugins=[_Document()],
        components=Components(
            security_schemes={
                SCHEME: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
            }
        ),
    )


class _Document(JsonRenderPlugin):
    """``/schema/openapi.json``."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json")
        self._body = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The corrected document, made once, whoever asks."""
        del request
        self._body = self._body or msgspec.json.encode(_corrected(openapi_schema))
        return self._body

    def receive_router(self, router: Router) -> None:
        """Drop Litestar's page for unknown paths below /schema: ours is a problem document."""
        router.routes[:] = [r for r in router.routes if "{" not in r.path]


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    fixed = deepcopy(document)
    schemas = fixed["components"]["schemas"]
    bodies: set[str] = set()
    for operations in fixed["paths"].values():
        for operation in operations.values():
            bodies |= _references(operation.get("requestBody"))
            _correct_operation(operation)
    for name in _reachable(schemas, bodies):
        schemas[name]["additionalProperties"] = False
    return fixed


def _correct_operation(operation: dict[str, Any]) -> None:
    body = operation.get("requestBody")
    responses = operation["responses"]
    responses.pop("400", None)
    if body:
        for status in (400, 415):
            responses[str(status)] = _problem(status)
        responses.setdefault("413", _problem(413))
    for status in (500, 503):
        responses.setdefault(str(status), _problem(status))
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        for header in headers.values():
            header.setdefault("schema", {"type": "string"})
        headers["X-Request-Id"] = {"schema": {"type": "string"}}
        if status == "401":
            headers["WWW-Authenticate"] = {"schema": {"type": "string"}, "required": True}
        if status in ("409", "503"):
            headers["Retry-After"] = {"schema": {"type": "integer"}}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def _reachable(schemas: dict[str, Any], names: set[str]) -> set[str]:
    """Those schemas and all that they are made of."""
    found: set[str] = set()
    while names:
        found |= names
        names = set().union(*(_references(schemas[name]) for name in names)) - found
    return found


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_references(each) for each in node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*(_references(each) for each in node.values()))
    if "$ref" in node:
        found.add(str(node["$ref"]).rpartition("/")[2])
    return found
