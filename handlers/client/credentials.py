"""Where bearer tokens come from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from domain.errors import Invalid
from handlers.client.bodies import ProviderList, Session
from handlers.client.problems import Problem, Unreachable

if TYPE_CHECKING:
    import httpx

_LOCAL = "local"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Access(Struct, frozen=True):
    """A bearer token. user_id: whom it speaks for, where that is known."""

    token: str
    user_id: str = ""


class SignsIn(Protocol):
    """The requests that need no token. The client keeps the cookies between them."""

    def list_providers(self) -> ProviderList:
        """``GET /v1/auth/providers``."""

    def begin_sign_in(self, provider: str, *, admin: bool | None = None) -> str:
        """``GET /v1/auth/{provider}/login``: the provider's page."""

    def finish_sign_in(self, *, code: str | None, state: str | None, iss: str | None) -> str:
        """``GET /v1/auth/callback``."""

    def refresh_session(self) -> Session:
        """``POST /v1/auth/refresh``."""


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


class BrowserNeeded(Invalid):
    """People sign in to this API with a browser, which a program has not."""

    code = "browser_needed"


class LocalSignIn:
    """The code flow with the local stack's provider, where anyone signs in as any address.

    admin: ask for an administrator's token. transport: to the provider, for tests.
    """

    renewable = True

    def __init__(
        self, email: str, *, admin: bool = False, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.email = email
        self._admin = admin
        self._transport = transport
        self._signed_in = False

    def fetch(self, client: SignsIn) -> Access:
        """Sign in; the first time, it signs the person up. Later the session is refreshed.

        Raises BrowserNeeded, or Invalid for what is no address.
        """
        if self._signed_in:
            with suppress(Problem):
                return _access(client.refresh_session())
        names = {each.name: each.title for each in client.list_providers().items}
        if _LOCAL not in names:
            raise _needs_key(", ".join(names.values()))
        page = client.begin_sign_in(_LOCAL, admin=self._admin)
        if urlsplit(page).hostname not in _LOOPBACK:
            raise _needs_key(names[_LOCAL])
        told = parse_qs(urlsplit(self._typed(page)).query)
        code, state, iss = (told.get(name, [None])[0] for name in ("code", "state", "iss"))
        client.finish_sign_in(code=code, state=state, iss=iss)
        self._signed_in = True
        return _access(client.refresh_session())

    def _typed(self, page: str) -> str:
        """Where the provider sends the browser once the address is typed on its page."""
        import httpx

        try:
            with httpx.Client(transport=self._transport, trust_env=False, verify=False) as http:  # noqa: S501 - no TLS on the loopback, and loading certificates takes time
                answer = http.post(page, data={"email": self.email})
        except httpx.TransportError as error:
            raise Unreachable(f"The local OpenID provider does not answer ({error}).") from error
        if answer.is_redirect:
            return str(answer.headers["Location"])
        with suppress(msgspec.DecodeError, msgspec.ValidationError):
            raise Invalid(msgspec.json.decode(answer.content, type=_Refusal).error_description)
        raise Unreachable(f"The local OpenID provider answered {answer.status_code}.")


class _Refusal(Struct):
    error_description: str


def _access(session: Session) -> Access:
    return Access(session.access_token, session.user_id)


def _needs_key(who: str) -> BrowserNeeded:
    how = f"signs people in with {who}, in a browser" if who else "signs nobody in"
    return BrowserNeeded(
        f"This API {how}: make an API key there, and set SPLITSOUND_API_KEY or give --api-key."
    )


class Renewing:
    """Tokens from elsewhere: ``renew`` gives a fresh one, by a refresh token for example."""

    renewable = True

    def __init__(self, renew: Callable[[], Access]) -> None:
        self._renew = renew

    def fetch(self, client: SignsIn) -> Access:  # noqa: ARG002 - it knows whom to ask
        """What ``renew`` gives."""
        return self._renew()
