"""``POST /v1/session``: sign in. Development only: any address signs in without a proof."""

from __future__ import annotations

import re
from typing import Annotated

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta as Rule
from msgspec import Struct

from commands import SignUp
from domain.errors import Invalid, NotAnAdmin
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest
from handlers.api.service import Api
from infra.identity import DEVELOPMENT, normalised

# What people have; not all that RFC 5321 allows, which mail providers do not offer.
_ADDRESS = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs in. admin: ask for a token that ``/v1/admin`` takes."""

    email: Annotated[str, Rule(max_length=320)]
    admin: bool = False


class Session(Struct, frozen=True):
    """An access token. expires_in: seconds; admin: whether ``/v1/admin`` takes it."""

    access_token: str
    token_type: str
    expires_in: int
    user_id: str
    admin: bool


@post(
    "/session",
    status_code=200,
    responses=problems(403, 409, 422),
    summary="Sign in",
    operation_id="signIn",
    response_description="An access token.",
    tags=["session"],
)
async def sign_in(data: JSONBody[Credentials], request: ApiRequest, service: Api) -> Session:
    """Gives an access token; the first time, signs the person up and grants credits."""
    email = _address(data.email)
    identity = service.application.identity
    user_id = identity.user_id(DEVELOPMENT, email)
    if data.admin and not identity.is_listed(user_id):
        raise NotAnAdmin(
            "This address is not on the list of administrators (ADMIN_EMAILS_CSV).",
            missing=["list"],
        )
    meta = service.meta(user_id, request.request_id, "session", None)
    await service.execute(SignUp(user_id, DEVELOPMENT, email), meta)
    request.scope["user"] = user_id  # for the log line
    seconds = service.application.settings.access_token_seconds
    token = identity.issue(user_id, admin=data.admin)
    return Session(token, "Bearer", seconds, user_id, data.admin)


def _address(text: str) -> str:
    email = normalised(text)
    if len(email) > 254 or not _ADDRESS.fullmatch(email):
        raise Invalid(
            "This is not an e-mail address.",
            errors=[{"pointer": "#/email", "detail": "Expected name@example.org."}],
        )
    return email
