"""The Litestar application, put together."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import structlog
from litestar import Litestar, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.params import RawBody, SkipValidation

from infra.local.edge import Edge
from infra.local.guard import Guard
from infra.local.oidc import pages
from infra.local.oidc.grants import Desk, Refused, address_of, client_and_place, request_of
from infra.local.oidc.secrets import ALGORITHM, Secrets

AUTHORIZE, DONE = "/authorize", "/done"
BODY_BYTES = 64 * 1024

_log = structlog.get_logger(component="identity")

Http = Request[Any, Any, State]
TheDesk = NamedDependency[SkipValidation[Desk]]


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """It serves."""
    return {"status": "ok"}


@get("/.well-known/openid-configuration", sync_to_thread=False)
def discovery(desk: TheDesk) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0, section 3."""
    issuer = desk.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "scopes_supported": ["openid", "email"],
        "claims_supported": ["sub", "email", "email_verified"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": True,
    }


@get("/jwks", sync_to_thread=False)
def jwks(desk: TheDesk) -> dict[str, Any]:
    """The key that signs ID tokens."""
    return desk.jwks


@get(AUTHORIZE, sync_to_thread=False)
def ask(request: Http, desk: TheDesk) -> Response[Any]:
    """The page on which a person says who they are."""
    query = _pairs(str(request.scope["query_string"], "latin-1"))
    uri = client_and_place(query)
    try:
        asked = request_of(query, uri)
    except Refused as refused:
        return _back(desk, uri, query.get("state", ""), error=refused.error)
    return pages.sign_in(asked.hint)


@post(AUTHORIZE, status_code=303, sync_to_thread=False)
def answer(request: Http, desk: TheDesk, body: RawBody) -> Response[Any]:
    """Back to the client, with a code for that person or without."""
    query = _pairs(str(request.scope["query_string"], "latin-1"))
    uri = client_and_place(query)
    try:
        asked = request_of(query, uri)
    except Refused as refused:
        return _back(desk, uri, query.get("state", ""), error=refused.error)
    form = _pairs(body.decode(errors="replace"))
    if form.get("how") == "cancel":
        return _back(desk, uri, asked.state, error="access_denied")
    try:
        address = address_of(form.get("email", ""))
    except Refused as refused:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        return pages.sign_in(form.get("email", ""), str(refused), refused.status)
    verified = "unverified" not in form
    return _back(desk, uri, asked.state, code=desk.code(asked, address, verified=verified))


@post("/token", status_code=200, sync_to_thread=False)
def token(request: Http, desk: TheDesk, body: RawBody) -> dict[str, Any]:
    """An ID token for a code (RFC 6749, section 4.1.3)."""
    form = _pairs(body.decode(errors="replace"))
    return desk.tokens(form, request.headers.get("authorization", ""))


@get(DONE, sync_to_thread=False)
def done(request: Http) -> Response[str]:
    """Where sign-ins lead that name no page of a front end."""
    return pages.done(request.query_params.get("error", ""))


@get("/", sync_to_thread=False)
def home() -> Response[str]:
    """What this is."""
    return pages.home()


def create_app(issuer: str, secrets: Secrets) -> Litestar:
    """The provider at that URL."""
    desk = Desk(issuer, secrets)
    # In a router, as in the stand-in for Stripe: two of the handlers share a path.
    everything = Router(
        "/", route_handlers=[healthz, discovery, jwks, ask, answer, token, done, home]
    )
    app = Litestar(
        route_handlers=[everything],
        dependencies={"desk": Provide(lambda: desk, sync_to_thread=False)},
        exception_handlers={Exception: _on_error},
        request_max_body_size=BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    app.asgi_handler = Guard(Edge(app.asgi_handler, _log), "The local OpenID provider")
    return app


def _pairs(encoded: str) -> dict[str, str]:
    return dict(parse_qsl(encoded, keep_blank_values=True, errors="replace"))


def _back(desk: Desk, uri: str, state: str, **told: str) -> Response[Any]:
    """To the client, which is told who sends the browser (RFC 9207)."""
    query = urlencode(told | {"state": state, "iss": desk.issuer})
    return Response(None, status_code=303, headers={"Location": f"{uri}?{query}"})


def _on_error(request: Http, error: Exception) -> Response[Any]:
    """OAuth's error object for programs, a page for people."""
    refused = _as_refused(request, error)
    if "text/html" in request.headers.get("accept", ""):
        return pages.failed(str(refused), refused.status)
    body = {"error": refused.error, "error_description": str(refused)}
    return Response(body, status_code=refused.status)


def _as_refused(request: Http, error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException) and error.status_code < 500:
        return Refused("invalid_request", str(error.detail)[:200], error.status_code)
    _log.error("request failed", path=request.url.path[:200], exc_info=error)
    return Refused("server_error", "Something broke in the local provider; see its log.", 500)
