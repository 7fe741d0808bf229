"""Signing in: ``GET /v1/auth/{provider}/login``, the provider's page, ``GET /v1/auth/callback``."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.datastructures import Cookie, ResponseHeader
from litestar.params import FromPath, FromQuery, QueryParameter

from commands import SignUp
from domain.errors import (
    EmailNotVerified,
    NotAnAdmin,
    NotFound,
    ProviderUnavailable,
    SignInRefused,
    SplitSoundError,
)
from handlers.api.auth import arriving, cookies
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest
from handlers.api.service import Api, Service
from infra.identity.openid import OpenIDProvider, Person
from infra.identity.pending import SECONDS, PendingLogin, unknown
from infra.identity.providers import CALLBACK

_TO = ResponseHeader(name="Location", documentation_only=True, description="Where to go on.")
_MOST_ADDRESS, _MOST_ANSWER = 254, 4096

ReturnTo = Annotated[
    str | None,
    QueryParameter(
        max_length=2000,
        description="The page to come back to: a whole URL, of an allowed origin.",
    ),
]
Hint = Annotated[
    str | None,
    QueryParameter(max_length=_MOST_ADDRESS, description="The address that the person may use."),
]
Answer = Annotated[str | None, QueryParameter(max_length=_MOST_ANSWER)]
# Litestar keeps the name `state` to itself.
State = Annotated[str | None, QueryParameter(name="state", max_length=_MOST_ANSWER)]


@get(
    "/{provider:str}/login",
    status_code=303,
    response_headers=[_TO],
    responses=problems(404, 422, ProviderUnavailable),
    summary="Begin a sign-in",
    operation_id="beginSignIn",
    response_description="On to the provider's page.",
)
async def begin(
    provider: FromPath[str],
    request: ApiRequest,
    service: Api,
    return_to: ReturnTo = None,
    admin: FromQuery[bool] = False,
    login_hint: Hint = None,
) -> Response[None]:
    """Send the browser here, as a navigation. It comes back to ``return_to``, signed in, or with
    ``?error=<code>``. ``admin``: ask for an administrator's token.
    """
    application = service.application
    known = _known(service, provider)
    base = arriving.base_of(request, application.settings)
    back = arriving.destination(return_to, service.origins, application.settings)
    pending = application.pending_logins.begin(provider, back, base + CALLBACK, admin=admin)
    try:
        url = await known.way_there(pending, login_hint)
    except SplitSoundError as error:
        return _told(request, back, error)
    cookie = cookies.login(base, pending.state, application.pending_logins.seal(pending), SECONDS)
    return _onward(url, cookie, *cookies.surplus(base, request.cookies))


@get(
    "/callback",
    status_code=303,
    response_headers=[_TO],
    responses=problems(
        404, 409, 422, EmailNotVerified, NotAnAdmin, ProviderUnavailable, SignInRefused
    ),
    summary="Come back from a provider",
    operation_id="finishSignIn",
    response_description="On to the page that the sign-in began for, with a session cookie.",
)
async def finish(
    request: ApiRequest,
    service: Api,
    code: Answer = None,
    brought: State = None,
    error: Answer = None,
    iss: Answer = None,
) -> Response[None]:
    """For the provider's answer alone. The first sign-in signs the person up. A browser that
    cannot be signed in goes back to its page with ``?error=<code>``; programs get the problem.
    """
    settings = service.application.settings
    base = arriving.base_of(request, settings)
    state = brought or ""
    sealed = request.cookies.get(cookies.login_name(base, state), "")
    if not state or not sealed:
        raise unknown()
    pending = service.application.pending_logins.open(sealed, state)
    try:
        if error is not None or not code:
            raise _turned_back(error)
        person = await _person(service, pending, code, iss)
        session = await _session(service, request, pending, person)
    except SplitSoundError as failure:
        return _told(request, pending.return_to, failure, cookies.login_over(base, state))
    return _onward(
        pending.return_to, cookies.login_over(base, state), cookies.session(base, *session)
    )


def _known(service: Service, name: str) -> OpenIDProvider:
    found = service.application.openid.get(name)
    if found is None:
        raise NotFound(f"Nobody called {name[:60]!r} signs people in here.")
    return found


def _turned_back(error: str | None) -> SignInRefused:
    said = error if error and error.isascii() and error.isprintable() else "no code"
    return SignInRefused(
        f"The identity provider turned you back ({said[:60]}).",
        reason="denied" if error == "access_denied" else "code",
    )


async def _person(service: Service, pending: PendingLogin, code: str, iss: str | None) -> Person:
    """Once for each sign-in, whatever the provider thinks of using its code again."""
    known = _known(service, pending.provider)
    if not await service.run(service.application.sessions.once, pending.state, SECONDS):
        raise SignInRefused(
            "This answer was brought before; if you are not signed in, start again.",
            reason="replayed",
        )
    return await known.person(code, pending, iss)


async def _session(
    service: Service, request: ApiRequest, pending: PendingLogin, person: Person
) -> tuple[str, int]:
    """Signs the person up where need be. The refresh token, and for how many seconds."""
    application = service.application
    identity = application.identity
    issuer = _known(service, pending.provider).provider.known_as
    user_id = identity.user_id(issuer, person.subject)
    mark = identity.mark(issuer, person.email)
    if pending.admin and not identity.is_listed(mark):
        raise NotAnAdmin(
            "This address is not on the list of administrators (ADMIN_EMAILS_CSV), or this "
            "provider is not believed in that.",
            missing=["list"],
        )
    meta = service.meta(user_id, request.request_id, "session", None)
    await service.execute(SignUp(user_id, issuer, person.email), meta)
    request.scope["user"] = user_id  # for the log line
    begun = await service.run(
        application.sessions.begin,
        user_id, application.ids.fresh("ses"), admin=pending.admin, mark=mark,
    )  # fmt: skip
    return begun.token, begun.lasts


def _told(request: ApiRequest, back: str, error: SplitSoundError, *kept: Cookie) -> Response[None]:
    """A browser goes back to its page. Raises the error for everybody else."""
    if not arriving.takes_pages(request):
        raise error
    return _onward(arriving.with_error(back, error.code), *kept)


def _onward(url: str, *kept: Cookie) -> Response[None]:
    """The answer depends on what the client takes, and a page must not be kept for another."""
    headers = {"Location": url, "Vary": "Accept"}
    # Of no body at all Litestar would make `null`.
    return Response(b"", status_code=303, headers=headers, cookies=kept)  # type: ignore[arg-type]
