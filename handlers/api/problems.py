"""Errors as RFC 9457 problem documents. Every error of every route leaves through here."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import msgspec
from litestar import Response
from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope
from msgspec import Struct

from domain import packs
from domain.errors import (
    AccessDenied,
    InsufficientScope,
    Invalid,
    NotEnoughCredits,
    NothingForSale,
    Paused,
    PersonRequired,
    SplitSoundError,
)
from domain.packs import Packs
from handlers.api import limits, log, storage

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = {
    "asset_not_ready": 2,
    "conflict": 1,
    "identity_provider_unavailable": 5,
    "idempotency_key_in_use": 1,
    "unavailable": 2,
    "not_ready": 2,
    "projector_silent": 10,
    "purchase_unknown": 5,
    "read_model_stuck": 60,
    "storage_full": 30,
}

# How Litestar words its 500 for a client that went away; nothing of ours broke.
_HUNG_UP = "client disconnected prematurely"

# What clients are told where the error's own words are for operators.
_TOLD = {
    "storage_full": "There is no room left to store anything; nothing was acknowledged. "
    "Once the operator has made room, send the same request again.",
    "identity_provider_unavailable": "The identity provider does not answer as it should; nobody "
    "was signed in. Try again, or sign in with another one.",
    "read_model_stuck": "This view cannot follow its events at the moment; operators see it. "
    "Nothing is lost: it will show everything once they have repaired it. Try again later.",
}

# Codes of what the framework refuses before a route handler is reached.
_CODES = {
    400: "malformed_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    431: "head_too_large",
    503: "unavailable",
}


class FieldError(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong. pointer: into the body; parameter, header: outside of it."""

    detail: str
    pointer: str = ""
    parameter: str = ""
    header: str = ""
    number: int = 0


class Problem(Struct, frozen=True, kw_only=True):
    """A problem document. type and code are stable; detail is for people.

    retryable: the same request may succeed later. Members beyond these belong to the code.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    instance: str
    retryable: bool
    errors: list[FieldError] | None = None


class NoCreditsProblem(Problem, frozen=True, kw_only=True):
    """not_enough_credits. required, available, debt, missing: credits.

    debt: of payments that were taken back; missing: how many to buy. Where something is sold,
    checkout, packs: the paths to buy them; pack: the smallest one that has as many, or the
    largest there is.
    """

    required: int
    available: int
    debt: int
    missing: int
    checkout: str | None = None
    packs: str | None = None
    pack: str | None = None


class RefusedProblem(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """price, price_list: price_changed only; what the job costs today, by which list."""

    price: int | None = None
    price_list: str | None = None


class ForbiddenProblem(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """missing: what is not there; of an administrator, ``list`` and ``claim``; of an API key,
    ``scope``, or ``person`` where none will do. scope: the one that it takes.
    """

    missing: list[str]
    scope: str | None = None


class TooLargeProblem(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """upload_too_large, whose limit is bytes of a file; or body_too_large, without it."""

    limit: int | None = None


class UnavailableProblem(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """action, resource: access_denied_by_aws only; what the operator has to allow, and where.

    subject, retry_after: paused only; what the operators closed, and for how many seconds.
    """

    action: str | None = None
    resource: str | None = None
    subject: str | None = None
    retry_after: int | None = None


class TooManyProblem(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """limit: how many requests, or streams at once, one may have; retry_after: seconds. policy:
    of too_many_requests; which limit, as ``RateLimit-Policy`` names it.
    """

    policy: str | None = None
    limit: int | None = None
    retry_after: int | None = None


class NotReady(SplitSoundError):
    """What this process needs does not answer."""

    code = "not_ready"
    status = 503
    retryable = True


class RequestTimeout(SplitSoundError):
    """A body that does not come."""

    code = "request_timeout"
    status = 408
    retryable = True


# What is a 503 by design: its words are for clients, and nobody has to look at it.
_EXPECTED = NotReady | Paused | NothingForSale
CHECKOUT, PACKS = "/v1/checkout", "/v1/packs"


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The problem document of any exception; what we did not foresee is logged, not shown."""
    facts = _facts(_named(request, error))
    if refused := limits.struck(request.app.state.service, request.scope, facts[0]):
        facts = _facts(refused)
    status, code, retryable, _, extra, headers = facts
    request.scope["state"]["problem"] = (code, retryable)
    if status >= 500 and not isinstance(error, _EXPECTED):
        log_failure(request.scope, error)
    wait = extra.get("retry_after", RETRY_SECONDS.get(code))
    if wait is not None:
        headers["Retry-After"] = str(wait)
    body = _document(request.scope, facts)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def problem_of(
    request: Request[Any, Any, Any], error: SplitSoundError, path: str
) -> tuple[int, Problem]:
    """Status and document of one of several things that were asked for at once, as if it alone
    had been, at that path.
    """
    facts = _facts(_named(request, error))
    if facts[0] >= 500 and not isinstance(error, _EXPECTED):
        log_failure(request.scope, error)
    # Already encoded, with the members that belong to its code.
    return facts[0], cast("Problem", msgspec.Raw(_document(request.scope, facts, path)))


def _named(request: Request[Any, Any, Any], error: Exception) -> Exception:
    application = request.app.state.service.application
    found = storage.named(error, application.settings)
    if isinstance(found, ValidationException):
        return _as_invalid(found, request.route_handler)
    if isinstance(found, NotEnoughCredits):
        return _with_where_to_buy(found, application.packs)
    return found


def _with_where_to_buy(error: NotEnoughCredits, sold: Packs) -> NotEnoughCredits:
    if not sold:
        return error
    missing = error.extra["missing"]
    error.detail += f" Or buy {missing} or more."
    pack = packs.covering(sold, missing)
    error.extra |= {"checkout": CHECKOUT, "packs": PACKS, "pack": pack}
    return error


def last_resort(scope: Scope) -> bytes:
    """The document of a 500 for what went wrong even outside of ``on_error``."""
    return _document(scope, _facts(Exception()))


def unframed(status: int, detail: str, request_id: str) -> bytes:
    """The document for what came over the wire and is no request: it has no path either."""
    scope: Any = {"state": {"request_id": request_id}, "path": ""}
    return _document(scope, (status, _CODES[status], status == 408, detail, {}, {}))


_Facts = tuple[int, str, bool, str, dict[str, Any], dict[str, str]]


def _document(scope: Scope, facts: _Facts, path: str = "") -> bytes:
    status, code, retryable, detail, extra, _ = facts
    document = {
        **extra,
        "type": f"urn:splitsound:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": str(scope["state"].get("request_id", "")),
        "instance": quote(path or scope["path"]),
        "retryable": retryable,
    }
    return msgspec.json.encode(document)


def _facts(error: Exception) -> _Facts:
    if isinstance(error, SplitSoundError):
        return _of_ours(error)
    if isinstance(error, HTTPException) and error.detail == _HUNG_UP:
        return 400, "malformed_request", False, "The body ended early.", {}, {}
    if isinstance(error, HTTPException) and error.status_code < 500:
        status = error.status_code
        code = _CODES.get(status, "bad_request")
        return status, code, status == 429, _sentence(error), {}, dict(error.headers or {})
    return 500, "internal_error", False, _hidden(500), {}, {}


def _of_ours(error: SplitSoundError) -> _Facts:
    headers: dict[str, str] = {}
    extra = dict(error.extra)
    detail = error.detail
    if error.status == 401:
        headers["WWW-Authenticate"] = _challenge(extra.pop("token_error", None), detail)
    if isinstance(error, InsufficientScope | PersonRequired):
        headers["WWW-Authenticate"] = _challenge("insufficient_scope", detail, extra.get("scope"))
    if error.status == 408:
        headers["Connection"] = "close"  # the rest of that body is nothing to wait for
    if error.status >= 500 and not isinstance(error, _EXPECTED | AccessDenied):
        # What a service told us may name hosts and tables: the log has it.
        detail, extra = _TOLD.get(error.code) or _hidden(error.status), {}
    return error.status, error.code, error.retryable, detail, extra, headers


def _challenge(token_error: str | None, detail: str, scope: str | None = None) -> str:
    """RFC 6750: no error code when no token was sent."""
    told = f', error="{token_error}", error_description="{detail}"' if token_error else ""
    takes = f', scope="{scope}"' if scope else ""
    return f'Bearer realm="splitsound"{told}{takes}'


def _hidden(status: int) -> str:
    if status == 503:
        return "A service that we need did not answer; nothing was decided. Try again."
    return "Something broke on our side; we have been told. Name the request_id when you ask."


def _sentence(error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is no such route."
    if error.status_code == 405:
        allow = (error.headers or {}).get("allow", "")
        return f"This route does not take that method; it takes {allow}."
    if error.status_code == 413:
        return "The body is larger than this route takes."
    return error.detail or HTTPStatus(error.status_code).phrase


def _as_invalid(error: ValidationException, route: BaseRouteHandler) -> Invalid:
    """Litestar's list of what is wrong with parameters, headers and a missing body."""
    told = error.extra if isinstance(error.extra, list) else []
    errors = [_field_error(e, route) for e in told if isinstance(e, dict)]
    if any(e.pointer == "#" for e in errors):
        return Invalid("This route needs a JSON body.", errors=errors)
    return Invalid("A parameter of the request is not valid.", errors=errors)


def _field_error(told: dict[str, Any], route: BaseRouteHandler) -> FieldError:
    key, source = str(told.get("key", "")), told.get("source")
    detail = str(told.get("message", "Not valid."))[:300]
    if key == "data":
        return FieldError("This route needs a JSON body.", pointer="#")
    if source == "header":
        return FieldError(detail, header=_sent_as(route, key))
    return FieldError(detail, parameter=key)


def _sent_as(route: BaseRouteHandler, key: str) -> str:
    """The name of a header, of which Litestar names the route handler's parameter."""
    parameter = route.parsed_fn_signature.parameters.get(key)
    return getattr(parameter and parameter.kwarg_definition, "name", None) or key


def log_failure(scope: Scope, error: Exception) -> None:
    """One line with the traceback: the operator sees what the client must not."""
    log.error(
        "request failed",
        method=scope.get("method"),
        path=str(scope["path"])[:200],
        request_id=scope["state"].get("request_id", ""),
        exc_info=error,
    )
