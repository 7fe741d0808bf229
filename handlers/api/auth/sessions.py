"""What a sign-in gives: access tokens for a refresh token, until somebody signs out."""

from __future__ import annotations

from contextlib import suppress

from litestar import Response, post
from litestar.datastructures import ResponseHeader
from msgspec import Struct

from commands.users import person_of
from domain.errors import AccountErased, ForeignOrigin, SessionEnded
from domain.user import present
from handlers.api import log
from handlers.api.auth import arriving, cookies
from handlers.api.idempotency import recall
from handlers.api.openapi import SCHEME, problems
from handlers.api.requests import ApiRequest, authenticated
from handlers.api.service import Api, Service
from infra.operations.sessions import Reused, Turned

_COOKIE = ResponseHeader(
    name="Set-Cookie", documentation_only=True, description="The refresh token, or its end."
)


class Session(Struct, frozen=True):
    """An access token. expires_in: seconds; admin: whether ``/v1/admin`` takes it."""

    access_token: str
    token_type: str
    expires_in: int
    user_id: str
    admin: bool


@post(
    "/refresh",
    status_code=200,
    response_headers=[_COOKIE],
    responses=problems(401, 409, AccountErased, ForeignOrigin, Reused, SessionEnded),
    summary="Get an access token",
    operation_id="refreshSession",
    response_description="An access token; the cookie holds the next refresh token.",
)
async def refresh(request: ApiRequest, service: Api) -> Response[Session]:
    """For the session cookie, after a sign-in and whenever the access token has expired. Each
    refresh token is good once, and for half a minute more for a tab that was late or an answer
    that got lost; after that, whoever brings it ends the session for all (refresh_token_reused).
    """
    base = _own_page(request, service)
    token = request.cookies.get(cookies.session_name(base), "")
    if not token:
        raise SessionEnded("You are not signed in here: there is no session cookie.")
    try:
        turned = await service.run(_turned, service, token)
    except Reused:
        log.warning("refresh token reused, session ended", request_id=request.request_id)
        raise
    request.scope["user"] = turned.user_id  # for the log line
    identity, settings = service.application.identity, service.application.settings
    admin = turned.admin and identity.is_listed(turned.mark)
    access = identity.issue(
        turned.user_id, admin=admin, session=turned.session, begun=turned.begun, mark=turned.mark
    )
    body = Session(access, "Bearer", settings.access_token_seconds, turned.user_id, admin)
    return Response(body, cookies=[cookies.session(base, turned.token, turned.lasts)])


def _turned(service: Service, token: str) -> Turned:
    """Nobody who was erased is signed in any more, although their sessions may still stand."""
    sessions = service.application.sessions
    asked = sessions.read(token)
    try:
        present(person_of(service.application.context, asked.user_id).state)
    except AccountErased:
        sessions.end_all(asked.user_id)
        raise
    return sessions.turn(token)


@post(
    "/logout",
    status_code=204,
    response_headers=[_COOKIE],
    responses=problems(ForeignOrigin),
    summary="Sign out here",
    operation_id="signOut",
    response_description="Signed out.",
)
async def log_out(request: ApiRequest, service: Api) -> Response[None]:
    """Ends this browser's session; again is harmless. Its access token lives out its minutes."""
    base = _own_page(request, service)
    token = request.cookies.get(cookies.session_name(base), "")
    sessions = service.application.sessions
    with suppress(SessionEnded):  # a cookie that opens nothing
        await service.run(lambda: sessions.end(sessions.read(token)))
    return Response(None, status_code=204, cookies=[cookies.session_over(base)])


@post(
    "/logout-everywhere",
    status_code=204,
    response_headers=[_COOKIE],
    responses=problems(401, 403),
    guards=[authenticated],
    before_request=recall,
    security=[{SCHEME: []}],
    opt={"scope": None},
    summary="Sign out everywhere",
    operation_id="signOutEverywhere",
    response_description="All sessions of the person have ended.",
)
async def log_out_everywhere(request: ApiRequest, service: Api) -> Response[None]:
    """Ends every session of yours, on every device. Access tokens that are out live at most 15
    minutes more; API keys are another matter and stay.
    """
    await service.run(service.application.sessions.end_all, request.user)
    base = arriving.base_of(request, service.application.settings)
    return Response(None, status_code=204, cookies=[cookies.session_over(base)])


def _own_page(request: ApiRequest, service: Service) -> str:
    """Where the browser reaches us. Raises ForeignOrigin for another site's page."""
    base = arriving.base_of(request, service.application.settings)
    arriving.require_own_page(request, service.origins, base)
    return base
