"""Requests: strict JSON bodies, who is asking, and under which request id."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import ClientException, ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter
from litestar.routes import HTTPRoute

from domain import api_keys
from domain.errors import (
    AdminClaimMissing,
    InsufficientScope,
    Invalid,
    NotAnAdmin,
    NotFound,
    PersonRequired,
    Unauthenticated,
)
from handlers.api.service import Service
from infra.identity import Caller

SCOPE = "scope"
"""Of a route's ``opt``: the scope that an API key needs for it; None: no API key will do."""

_ID = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}")
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?:missing required|contains unknown) field `(?P<name>.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")

KEY_PATTERN, MOST_KEY = r"^[!-~]+$", 255
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=MOST_KEY,
        pattern=KEY_PATTERN,
        description="Sending the same request again with the same key acts once.",
    ),
]


class ApiRequest(Request[str, Caller, State]):
    """``user``: the user id that ``authenticated`` put there; ``auth``: the token's Caller."""

    @property
    def request_id(self) -> str:
        """The id that the client sent or that we gave this request."""
        return str(self.scope["state"]["request_id"])

    async def json(self) -> Any:
        """The body as what the route handler's ``data`` is, with no coercion.

        Litestar's own conversion takes "5" for 5; here a wrong type is refused by name.
        """
        kind, _ = self.content_type
        if kind not in ("", "application/json") and not kind.endswith("+json"):
            raise ClientException(
                f"Send the body as application/json, not as {kind}.", status_code=415
            )
        annotation = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        try:
            return _decoder(annotation).decode(await self.body())
        except msgspec.ValidationError as error:
            raise _named(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ClientException(f"The body is not JSON: {error}.", status_code=400) from error


@lru_cache(64)
def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(annotation)


def _named(message: str) -> Invalid:
    """msgspec's message, with the place that it names as a JSON pointer (RFC 6901)."""
    found = _PLACE.match(message)
    what, path = (found["what"], found["path"] or "") if found else (message, "")
    steps = [name or index for name, index in _STEP.findall(path)]
    if field := _FIELD.match(what):
        steps.append(field["name"][:100])
    pointer = "#" + "".join("/" + s.replace("~", "~0").replace("/", "~1") for s in steps)
    detail = what[:300] + "."
    return Invalid(
        f"The body is not valid: {detail}", errors=[{"pointer": pointer, "detail": detail}]
    )


async def authenticated(
    connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler
) -> None:
    """A guard: whom the access token or API key speaks for asks, within the key's scopes.

    Raises Unauthenticated, AccountErased, InsufficientScope or PersonRequired.
    """
    service: Service = connection.app.state.service
    scheme, _, token = connection.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send an access token or API key: `Authorization: Bearer <token>`.")
    try:
        caller = await _caller(service, token.strip())
    except Unauthenticated as error:
        raise Unauthenticated(error.detail, token_error="invalid_token") from error  # noqa: S106 - RFC 6750's word
    connection.scope["user"], connection.scope["auth"] = caller.user_id, caller
    _require_scope(caller, route.opt.get(SCOPE))


async def _caller(service: Service, token: str) -> Caller:
    # Who was here a moment ago takes no thread: to wait for one costs more than to verify.
    known = service.application.identity.known(token)
    if known and service.key_ring.is_here(known.user_id):
        return known
    return await service.run(caller_of, service, token)


def caller_of(service: Service, token: str) -> Caller:
    """Whom a bearer token speaks for. May wait for the store.

    Raises Unauthenticated, or AccountErased for who has been forgotten since.
    """
    if token.startswith(api_keys.PREFIX):
        return service.key_ring.caller(token)
    caller = service.application.identity.verify(token)
    service.key_ring.require_not_erased(caller.user_id)
    return caller


def _require_scope(caller: Caller, scope: str | None) -> None:
    if caller.scopes is None:
        return
    if scope is None:
        raise PersonRequired(
            "No API key may do this: sign in and send an access token.", missing=["person"]
        )
    if scope not in caller.scopes:
        raise InsufficientScope(
            f"This takes an API key with the scope {scope}; make one that has it.",
            missing=["scope"],
            scope=scope,
        )


def require_scopes(app: Litestar) -> None:
    """Every guarded route says which API keys it takes. Raises ImproperlyConfiguredException."""
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            declared = SCOPE in handler.opt and handler.opt[SCOPE] in (None, *api_keys.SCOPES)
            # Litestar adds what answers OPTIONS by itself.
            if handler.resolve_guards() and not declared and handler.http_methods != {"OPTIONS"}:
                raise ImproperlyConfiguredException(
                    f"{' '.join(sorted(handler.http_methods))} {route.path} does not say which API "
                    f'keys it takes: add opt={{"{SCOPE}": ...}} to it or to its Router, one of '
                    f"{', '.join(api_keys.SCOPES)}, or None: only the signed-in person."
                )


async def administrator(
    connection: ASGIConnection[Any, Any, Any, Any], _route: BaseRouteHandler
) -> None:
    """A guard behind ``authenticated``: the address is on the list, and the token says admin.

    The list is looked at for each request, so that a token outlives no removal from it.
    Raises NotAnAdmin or AdminClaimMissing.
    """
    service: Service = connection.app.state.service
    caller: Caller = connection.scope["auth"]
    lacking = [] if caller.admin else ["claim"]
    if not service.application.identity.is_listed(caller.mark):
        raise NotAnAdmin(
            "Your address is not on the list of administrators (ADMIN_EMAILS_CSV).",
            missing=["list", *lacking],
        )
    if lacking:
        raise AdminClaimMissing(
            "This token is not an administrator's: sign in again with admin=true.",
            missing=lacking,
        )


def known_id(prefix: str, text: str) -> str:
    """``text``, if it could be an id of ours. Raises NotFound, as for one that is not there."""
    if not text.startswith(prefix + "_") or not _ID.fullmatch(text):
        raise NotFound(f"There is no {text[:60]!r}.")
    return text
