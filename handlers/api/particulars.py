"""What the document tells beyond the shapes of bodies: which problems a route answers with by code,
how ids look, what follows from what, and real examples of everything.

Examples stand in ``examples.json``, recorded from a run of the tests, see
``tests/handlers/api/recording.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from domain.errors import AccountErased, InsufficientScope, KeyInUse, KeyReused, PersonRequired
from handlers.api.patterns import id_of
from handlers.api.problems import MEDIA_TYPE
from handlers.api.requests import administrator

EXAMPLES = Path(__file__).with_name("examples.json")
_ADMIN = ("admin_claim_missing", "not_an_admin")
_USUAL: dict[int, tuple[str, ...]] = {
    400: ("malformed_request",),
    401: ("unauthenticated",),
    404: ("not_found",),
    408: ("request_timeout",),
    409: ("account_being_erased", "conflict", "not_allowed_now"),
    410: ("account_erased",),
    413: ("body_too_large",),
    415: ("unsupported_media_type",),
    422: ("invalid_request",),
    429: ("too_many_requests",),
    431: ("head_too_large",),
    500: ("history_broken", "internal_error"),
    503: ("access_denied_by_aws", "read_model_stuck", "storage_full", "unavailable"),
}
"""Of every route that answers with the status at all."""
_ALWAYS = {"Location", "X-Request-Id"}
"""Headers that an answer has wherever it may have them."""
_ONLY_SAID = {400, 402, 403, 410}
"""Statuses whose codes are those that the route names, where it names some."""
_PREFIXES = {"asset_id": "ast", "endpoint_id": "whk", "job_id": "job", "key_id": "key",
             "message_id": "msg", "purchase_id": "pur", "user_id": "usr"}  # fmt: skip
# Each operation that makes something: what can be done with it, and where its id stands.
_LINKS = {
    "startUpload": ("asset_id", ("getUpload", "completeUpload", "abortUpload", "getAsset")),
    "createJob": ("job_id", ("getJob", "cancelJob", "deleteJob", "restoreJob")),
    "checkOut": ("purchase_id", ("getPurchase",)),
    "createApiKey": ("key_id", ("revokeApiKey",)),
    "addWebhookEndpoint": (
        "endpoint_id",
        (
            "getWebhookEndpoint",
            "testWebhookEndpoint",
            "listWebhookDeliveries",
            "removeWebhookEndpoint",
        ),
    ),
}


def codes(spec: ResponseSpec) -> tuple[str, ...]:
    """The problem codes that the route named for this answer."""
    return getattr(spec, "codes", ())


def complete(document: dict[str, Any], handlers: Mapping[str, HTTPRouteHandler]) -> None:
    """Add them all, in place."""
    known = {o["operationId"] for each in document["paths"].values() for o in each.values()}
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            _name_codes(operation, handlers[name])
            _require_headers(operation)
            _show_ids(operation)
            _link(operation, known)
            _exemplify(operation, recorded()["operations"].get(name, {}))
    document["components"]["examples"] = {
        code: {"value": value} for code, value in recorded()["problems"].items()
    }


def _name_codes(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    said = handler.responses or {}
    for status, response in operation["responses"].items():
        if MEDIA_TYPE not in response.get("content", {}):
            continue
        number = int(status)
        named = set(codes(said[number])) if number in said else set()
        if not (named and number in _ONLY_SAID):
            named |= set(_USUAL.get(number, ()))
        if operation.get("security"):
            named |= _forbidding(handler) if number == 403 else set()
            named |= {AccountErased.code} if number == AccountErased.status else set()
        if _takes_key(operation):
            named |= {KeyReused.code} if number == KeyReused.status else set()
            named |= {KeyInUse.code} if number == KeyInUse.status else set()
        _enumerate(response, number, sorted(named))


def _forbidding(handler: HTTPRouteHandler) -> set[str]:
    admin = set(_ADMIN) if administrator in handler.resolve_guards() else set()
    scope = handler.opt.get("scope")
    return {*admin, InsufficientScope.code if scope else PersonRequired.code}


def _takes_key(operation: dict[str, Any]) -> bool:
    return any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", ()))


def _enumerate(response: dict[str, Any], status: int, named: list[str]) -> None:
    """Which codes there are, in the schema and as examples."""
    media = response["content"][MEDIA_TYPE]
    narrowed: dict[str, Any] = {"status": {"const": status}}
    if named:
        narrowed["code"] = {"enum": named}
    media["schema"] = {"allOf": [media["schema"]], "properties": narrowed}
    examples = {
        code: {"$ref": f"#/components/examples/{code}"}
        for code in named
        if recorded()["problems"].get(code, {}).get("status") == status
    }
    if examples:
        media["examples"] = examples


def _require_headers(operation: dict[str, Any]) -> None:
    for response in operation["responses"].values():
        for name in _ALWAYS & response["headers"].keys():
            response["headers"][name]["required"] = True


def _show_ids(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        prefix = _PREFIXES.get(parameter["name"])
        if parameter["in"] == "path" and prefix:
            parameter["schema"]["pattern"] = id_of(prefix)


def _link(operation: dict[str, Any], known: set[str]) -> None:
    made, following = _LINKS.get(operation["operationId"], ("", ()))
    links = {
        name: {"operationId": name, "parameters": {made: f"$response.body#/{made}"}}
        for name in following
        if name in known
    }
    if links:
        operation["responses"]["201"]["links"] = links


def _exemplify(operation: dict[str, Any], found: dict[str, Any]) -> None:
    """Of the request's body, and of what is answered when all is well."""
    shown = [(operation.get("requestBody", {}), found.get("request"))]
    for status, response in operation["responses"].items():
        shown.append((response, found.get("answers", {}).get(status)))
    for place, example in shown:
        for kind, media in place.get("content", {}).items():
            if example is not None and kind != MEDIA_TYPE:
                media["examples"] = {"recorded": {"value": example}}


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """operations: by operationId, request and answers by status; problems: by code."""
    if not EXAMPLES.exists():
        return {"operations": {}, "problems": {}}
    found: dict[str, dict[str, Any]] = msgspec.json.decode(EXAMPLES.read_bytes())
    return found
