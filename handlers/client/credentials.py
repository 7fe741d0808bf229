"""Where bearer tokens come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from handlers.client.bodies import Credentials as Address
from handlers.client.bodies import Session


class Access(Struct, frozen=True):
    """A bearer token. user_id: whom it speaks for, where that is known."""

    token: str
    user_id: str = ""


class SignsIn(Protocol):
    """The one request that needs no token."""

    def sign_in(self, body: Address, /) -> Session:
        """``POST /v1/session``."""


class Credentials(Protocol):
    """Asked before the first request, and again when a token is refused (it lives for minutes).

    renewable: whether asking again gives another token.
    """

    renewable: bool

    def fetch(self, client: SignsIn) -> Access:
        """A token that should hold."""


class ApiKey:
    """A key of ``/v1/api-keys``; it is the token."""

    renewable = False

    def __init__(self, key: str) -> None:
        self._key = key

    def fetch(self, client: SignsIn) -> Access:  # noqa: ARG002 - nobody need be asked
        """The key."""
        return Access(self._key)


class DevelopmentSignIn:
    """Any address signs in without a proof, where the API's identity provider is that one."""

    renewable = True

    def __init__(self, email: str, admin: bool = False) -> None:
        self.email = email
        self._admin = admin

    def fetch(self, client: SignsIn) -> Access:
        """Sign in; the first time, it signs the person up."""
        session = client.sign_in(Address(email=self.email, admin=self._admin))
        return Access(session.access_token, session.user_id)


class Renewing:
    """Tokens from elsewhere: ``renew`` gives a fresh one, by a refresh token for example."""

    renewable = True

    def __init__(self, renew: Callable[[], Access]) -> None:
        self._renew = renew

    def fetch(self, client: SignsIn) -> Access:  # noqa: ARG002 - it knows whom to ask
        """What ``renew`` gives."""
        return self._renew()
