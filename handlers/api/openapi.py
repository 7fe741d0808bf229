"""The OpenAPI document: what Litestar derives from the routes, made true where it is not.

Litestar leaves out problem documents and declares a 400 of its own for every validation error;
see ``_corrected``. Its schemas of Structs lose constraints inside lists (and then refuse every
string there), so they are msgspec's, which is what reads and writes the bodies.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Router
from litestar.datastructures import ResponseHeader
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.response import Stream
from litestar.routes import HTTPRoute

from domain import api_keys
from domain.errors import SplitSoundError
from handlers.api import deployed
from handlers.api.limits import HEADERS
from handlers.api.particulars import complete
from handlers.api.problems import (
    MEDIA_TYPE,
    ForbiddenProblem,
    NoCreditsProblem,
    Problem,
    RefusedProblem,
    TooLargeProblem,
    TooManyProblem,
    UnavailableProblem,
)
from handlers.api.requests import KEY_PATTERN, MOST_KEY

SCHEME, API_KEY = "bearer", "apiKey"
EVENTS = "events"
"""Of a route's ``opt``: its server-sent events, each by its name with what its data is."""
LOCATION = ResponseHeader(
    name="Location", documentation_only=True, description="Path of what was created."
)


# Statuses whose documents have members of their own.
_VARIANTS: dict[int, type[Problem]] = {
    402: NoCreditsProblem,
    403: ForbiddenProblem,
    409: RefusedProblem,
    413: TooLargeProblem,
    429: TooManyProblem,
    503: UnavailableProblem,
}
_MEANING = {
    400: "The body is not JSON or not signed, or a sign-in did not come back as it went out.",
    401: "No access token or API key, or one that is not valid.",
    402: "The account cannot cover the price.",
    403: "Signed in, without the right to this; `missing` says what it takes.",
    404: "Absent, or somebody else's.",
    409: "The state of things forbids it now, or others kept writing; see `retryable`.",
    408: "The body did not come in time.",
    410: "The account was erased; or, of an upload, storage lost the parts: see `code`.",
    413: "The body, or the file that it announces, is too large.",
    415: "The body is not sent as application/json.",
    422: "The request breaks a rule; `errors` names the places.",
    429: "More than one may send in a while, or have at once; `Retry-After` says for how long to "
    "wait.",
    431: "The path, the query and the headers are too large together.",
    500: "Something broke on our side.",
    503: "A service that we need did not answer, there is no room left to store anything, or "
    "nothing is sold here; see `code` and `retryable`.",
}


@dataclass
class ProblemSpec(ResponseSpec):
    """A problem document. codes: those that the route names besides what every route may say."""

    codes: tuple[str, ...] = ()


def problems(*said: int | type[SplitSoundError]) -> dict[int, ResponseSpec]:
    """The problem documents that a route may answer with: the statuses, and the errors that not
    every route with that status knows.
    """
    named: dict[int, list[str]] = {}
    for each in said:
        if isinstance(each, int):
            named.setdefault(each, [])
        else:
            named.setdefault(each.status, []).append(each.code)
    return {
        status: ProblemSpec(
            _VARIANTS.get(status, Problem),
            description=_MEANING[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
            codes=tuple(codes),
        )
        for status, codes in named.items()
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
                SCHEME: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                API_KEY: SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format=api_keys.PREFIX,
                    description="An API key that has the scope which the operation names.",
                ),
            }
        ),
    )


class _Document(JsonRenderPlugin):
    """``/schema/openapi.json``."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._body = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The corrected document, made once, whoever asks."""
        if not self._body:
            told = _corrected(openapi_schema, request.app)
            deployed.name(told, request.app.state.service.application)
            self._body = msgspec.json.encode(told)
        return self._body

    def receive_router(self, router: Router) -> None:
        """Drop Litestar's page for unknown paths below /schema: ours is a problem document."""
        router.routes[:] = [r for r in router.routes if "{" not in r.path]


def document(app: Litestar) -> dict[str, Any]:
    """The document of that application."""
    return _corrected(app.openapi_schema.to_schema(), app)


def _corrected(told: dict[str, Any], app: Litestar) -> dict[str, Any]:
    fixed = deepcopy(told)
    handlers = {str(handler.operation_id): handler for handler in _handlers(app)}
    fixed["components"]["schemas"] = _schemas(handlers.values())
    for operations in fixed["paths"].values():
        for method, operation in operations.items():
            handler = handlers[operation["operationId"]]
            _secure(operation, handler)
            if method == "post" and operation.get("security"):
                _replayable(operation)
            if handler.opt.get("rate", True) is not None:
                operation["responses"].setdefault("429", _problem(429))
            _correct_operation(operation)
            if events := handler.opt.get(EVENTS):
                _declare_events(operation["responses"]["200"]["content"], events)
    complete(fixed, handlers)
    return fixed


def _handlers(app: Litestar) -> list[HTTPRouteHandler]:
    return [
        handler
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for handler in route.route_handlers
        if "OPTIONS" not in handler.http_methods
    ]


def _secure(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Who may call, and how those are answered who may not."""
    if not handler.resolve_guards():
        return
    scope = handler.opt["scope"]
    keys = [{API_KEY: [scope]}] if scope else []
    operation["security"] = [{SCHEME: []}, *keys]
    for status in (401, 403, 410):
        operation["responses"].setdefault(str(status), _problem(status))


def _schemas(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Of every body that a route takes or gives, by the names that Litestar refers to."""
    bodies: list[Any] = [Problem, *_VARIANTS.values()]
    for handler in handlers:
        answer = handler.parsed_return_field
        if not answer.is_subclass_of(Stream):  # of what comes, its media type tells
            bodies += [each.annotation for each in answer.inner_types or (answer,)]
        bodies += handler.opt.get(EVENTS, {}).values()
        if handler.parsed_data_field:
            bodies.append(handler.parsed_data_field.annotation)
    template = "#/components/schemas/{name}"
    schemas = msgspec.json.schema_components(bodies, ref_template=template)[1]
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    # msgspec's order is another in every process.
    return dict(sorted(schemas.items()))


def _declare_events(content: dict[str, Any], events: dict[str, type]) -> None:
    """``x-itemSchema`` is what OpenAPI 3.2 calls itemSchema; 3.1 has no schema for events."""
    each = [
        {
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": {"const": name},
                "id": {"type": "string"},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": f"#/components/schemas/{body.__name__}"},
                },
            },
        }
        for name, body in events.items()
    ]
    content["text/event-stream"] = {"x-itemSchema": {"oneOf": each}}


_NO_BODY = ("204", "303", "304")
_ETAG = {"schema": {"type": "string"}, "required": True}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` of the answer that you have; several, by commas; or `*`.",
}


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_KEY, "pattern": KEY_PATTERN},
    "description": "Sending the same request again with the same key gives the same answer.",
}
_REPLAYED = {
    "schema": {"type": "string", "const": "true"},
    "description": "There when this is the answer to an earlier request with the same key.",
}


def _replayable(operation: dict[str, Any]) -> None:
    """What ``handlers.api.idempotency`` does for every POST of who is signed in."""
    parameters = operation.setdefault("parameters", [])
    parameters[:] = [p for p in parameters if p["name"] != _KEY["name"]] + [_KEY]
    responses = operation["responses"]
    # A body is compared also where the route handler takes none.
    for status in (408, 409, 413, 422):
        responses.setdefault(str(status), _problem(status))
    for status, response in responses.items():
        if status.startswith("2"):
            response.setdefault("headers", {})["Idempotent-Replayed"] = _REPLAYED


def _correct_parameter(parameter: dict[str, Any]) -> None:
    """In a URL or a header `null` means nothing where a number or one of some words is wanted; any
    other text it is itself.
    """
    schema = parameter["schema"]
    if schema.get("oneOf") == [{"type": "string"}, {"type": "null"}]:
        del schema["oneOf"]
        schema["type"] = "string"


def _correct_operation(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        _correct_parameter(parameter)
    body = operation.get("requestBody")
    responses = operation["responses"]
    # Litestar has one of its own for every parameter, and answers 422 here.
    refused = responses.pop("400", None)
    if refused and not body and MEDIA_TYPE in refused["content"]:
        responses["400"] = refused
    if body:
        _correct_body(body, responses, refused)
    if "304" in responses:
        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
        for tagged in ("200", "304"):
            responses[tagged].setdefault("headers", {})["ETag"] = _ETAG
    for status in (431, 500, 503):
        responses.setdefault(str(status), _problem(status))
    for status, response in responses.items():
        _correct_response(status, response)


def _correct_response(status: str, response: dict[str, Any]) -> None:
    if status in _NO_BODY:
        response.pop("content", None)
    headers = response.setdefault("headers", {})
    for header in headers.values():
        header.setdefault("schema", {"type": "string"})
    for name in ("X-Request-Id", *HEADERS):
        headers[name] = {"schema": {"type": "string"}}
    if status == "401":
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}, "required": True}
    if status == "403":
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    if status in ("409", "429", "503"):
        headers["Retry-After"] = {"schema": {"type": "integer"}, "required": status == "429"}


def _correct_body(
    body: dict[str, Any], responses: dict[str, Any], refused: dict[str, Any] | None
) -> None:
    schema = body["content"]["application/json"]["schema"]
    if "$ref" not in schema and "oneOf" not in schema:
        # Raw: judged by the route itself, which says what its 400 means.
        responses["400"] = refused or _problem(400)
    else:
        # A body that may be null may also be left out.
        body["required"] = {"type": "null"} not in schema.get("oneOf", [])
        for status in (400, 415):
            responses[str(status)] = _problem(status)
    for status in (408, 413):
        responses.setdefault(str(status), _problem(status))


def _problem(status: int) -> dict[str, Any]:
    name = _VARIANTS.get(status, Problem).__name__
    return {
        "description": _MEANING[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }
