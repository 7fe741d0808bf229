"""An OpenID provider as its client meets it: discovery, the way there, a code for a person.

OpenID Connect Core 1.0 and Discovery 1.0; authorization code flow with PKCE (RFC 7636, S256) and,
where the provider names itself in its answer, RFC 9207.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import quote, urlencode, urlsplit

import httpx
from msgspec import Struct

from commands.ports import Clock
from domain.errors import EmailNotVerified, SignInRefused
from infra.identity import id_tokens
from infra.identity.callers import normalised
from infra.identity.fetching import Fetcher, Refusal
from infra.identity.id_tokens import Jwk, Named
from infra.identity.pending import PendingLogin
from infra.identity.providers import LOOPBACK, Provider, is_trustworthy

FRESH_SECONDS = 3600
"""How long discovery and keys are believed."""
HURRIED_SECONDS = 30
"""How often an unknown key may make us ask again, whatever tokens claim."""
_MOST_ADDRESS = 254
_WELL_KNOWN = "/.well-known/openid-configuration"


class Discovery(Struct, frozen=True):
    """What we use of a provider's metadata."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class KeySet(Struct, frozen=True):
    """RFC 7517, section 5."""

    keys: list[Jwk]


class Tokens(Struct, frozen=True):
    """What a code was exchanged for."""

    id_token: str


class Person(Struct, frozen=True):
    """Whom the provider vouches for. email: as it is compared, and verified."""

    subject: str
    email: str


class OpenIDProvider:
    """Of one event loop. Raises ProviderUnavailable throughout."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        local = urlsplit(provider.issuer).hostname in LOOPBACK
        self._fetcher = Fetcher(provider.name, direct=local)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._found: tuple[int, Discovery] | None = None
        self._keys: list[Jwk] = []
        self._keys_read = self._keys_sought = 0

    async def close(self) -> None:
        """Give the connections back."""
        await self._fetcher.close()

    async def discovered(self) -> Discovery:
        """The provider's metadata, at most FRESH_SECONDS old."""
        async with self._lock:
            now = self._now()
            if self._found is None or not 0 <= now - self._found[0] < FRESH_SECONDS:
                self._found = (now, await self._discover())
            return self._found[1]

    async def _discover(self) -> Discovery:
        issuer = self.provider.issuer
        found = await self._fetcher.get(issuer.rstrip("/") + _WELL_KNOWN, Discovery)
        if found.issuer != issuer:
            raise self._fetcher.unavailable("says that it is another issuer")
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            if not is_trustworthy(url):
                raise self._fetcher.unavailable("names an address without TLS")
        return found

    async def way_there(self, pending: PendingLogin, hint: str | None = None) -> str:
        """Where the browser is sent. hint: the address that the person is likely to use."""
        found = await self.discovered()
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": pending.redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": challenge(pending.verifier),
            "code_challenge_method": "S256",
        } | ({"login_hint": hint} if hint else {})
        start = found.authorization_endpoint
        return f"{start}{'&' if urlsplit(start).query else '?'}{urlencode(asked)}"

    async def person(self, code: str, pending: PendingLogin, issuer: str | None) -> Person:
        """Whom that code stands for. issuer: who the answer says that it comes from.

        Raises SignInRefused, EmailNotVerified.
        """
        found = await self.discovered()
        told = issuer is not None or found.authorization_response_iss_parameter_supported
        if told and issuer != self.provider.issuer:
            raise SignInRefused(
                "This answer comes from another identity provider; start the sign-in again.",
                reason="state",
            )
        token = await self._exchanged(found, code, pending)
        wanted = id_tokens.named(token)
        key = await self._key(found, wanted)
        claims = id_tokens.claims(token, key, wanted, self.provider, pending.nonce)
        return Person(claims["sub"], _verified(claims.get("email"), claims.get("email_verified")))

    async def _exchanged(self, found: Discovery, code: str, pending: PendingLogin) -> str:
        """The ID token."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
        auth = None
        client_id, secret = self.provider.client_id, self.provider.client_secret
        if secret and "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            # RFC 6749, section 2.3.1: form-encoded first.
            auth = httpx.BasicAuth(quote(client_id, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        status, body = await self._fetcher.post(found.token_endpoint, form, auth)
        if status == httpx.codes.OK:
            return self._fetcher.read(body, Tokens).id_token
        if httpx.codes.is_client_error(status):
            said = self._fetcher.read(body, Refusal).error
            if said == "invalid_grant":
                raise SignInRefused(
                    "The identity provider does not take this code (any more); start the sign-in "
                    "again.",
                    reason="code",
                )
        raise self._fetcher.unavailable(f"answered {status} to the exchange of a code")

    async def _key(self, found: Discovery, wanted: Named) -> Jwk:
        async with self._lock:
            now = self._now()
            stale = not 0 <= now - self._keys_read < FRESH_SECONDS
            key = None if stale else id_tokens.matching(self._keys, wanted)
            if key is None and (stale or now - self._keys_sought >= HURRIED_SECONDS):
                self._keys_sought = now
                self._keys = (await self._fetcher.get(found.jwks_uri, KeySet)).keys
                self._keys_read = now
                key = id_tokens.matching(self._keys, wanted)
        if key is None:
            raise id_tokens.refused("nobody knows the key that signed it")
        return key

    def _now(self) -> int:
        return self._clock.now() // 1000


def challenge(verifier: str) -> str:
    """RFC 7636, section 4.2: S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _verified(email: object, verified: object) -> str:
    """The address. Some providers say ``"true"``. Raises EmailNotVerified."""
    if not isinstance(email, str) or "@" not in email or len(email) > _MOST_ADDRESS:
        raise EmailNotVerified(
            "The identity provider gave no e-mail address; allow it to, or use another one.",
            missing=["email"],
        )
    if verified is not True and verified != "true":
        raise EmailNotVerified(
            "The identity provider has not verified your e-mail address; do that there, then "
            "sign in again.",
            missing=["email_verified"],
        )
    return normalised(email)
