"""Who is asking: access tokens (JWT, EdDSA) and the development identity provider.

An administrator is a user whose address is on the list of the settings and whose token was asked
for as an administrator's; both are looked at for each request. Tokens carry user ids, never
addresses, so the list is compared as user ids.

Tokens pin algorithm, issuer, audience and expiry (RFC 8725); ``kid`` is the RFC 7638-like
thumbprint of the public key. Production sign-in (OpenID Connect) has the same shape: an
issuer and a subject become a user id.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cached_property

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from msgspec import Struct

from commands.ports import Clock
from domain.errors import Unauthenticated
from domain.ids import derived
from infra.keys import KeyFiles
from infra.settings import Settings

ALGORITHM = "EdDSA"
LEEWAY_SECONDS = 5
DEVELOPMENT = "development"
"""The issuer of the development identity provider, whose subjects are addresses."""


class Caller(Struct, frozen=True):
    """Whom a token speaks for. admin: it was asked for as an administrator's."""

    user_id: str
    admin: bool = False


def normalised(address: str) -> str:
    """An e-mail address as it is compared."""
    return address.strip().lower()


class Identity:
    """Issues and verifies access tokens with the key in ``signing.pem``."""

    def __init__(self, keys: KeyFiles, settings: Settings, clock: Clock) -> None:
        pem = keys.get_or_make("signing.pem", _new_pem)
        private = load_pem_private_key(pem, password=None)
        assert isinstance(private, Ed25519PrivateKey)
        self._private = private
        self._public = private.public_key()
        raw = self._public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._kid = hashlib.sha256(raw).hexdigest()[:16]
        self._pepper = keys.get_or_make("pepper.key", lambda: os.urandom(32))
        self._settings = settings
        self._clock = clock

    def user_id(self, issuer: str, subject: str) -> str:
        """The user behind a subject; keyed, so that an id never reveals an address."""
        text = f"{issuer}\x00{subject}".encode()
        return derived("usr", hmac.new(self._pepper, text, hashlib.sha256).hexdigest())

    @cached_property
    def _administrators(self) -> frozenset[str]:
        listed = map(normalised, self._settings.admin_emails_csv.split(","))
        return frozenset(self.user_id(DEVELOPMENT, address) for address in listed if address)

    def is_listed(self, user_id: str) -> bool:
        """Whether that user's address is on this process's list of administrators."""
        return user_id in self._administrators

    def issue(self, user_id: str, *, admin: bool = False) -> str:
        """An access token for that user. admin: with the claim that administrators need."""
        now = self._clock.now() // 1000
        claims: dict[str, object] = {
            "sub": user_id,
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "iat": now,
            "exp": now + self._settings.access_token_seconds,
        }
        if admin:
            claims["admin"] = True
        headers = {"kid": self._kid, "typ": "at+jwt"}
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> Caller:
        """Whom a token of ours speaks for. Raises Unauthenticated and says what is wrong."""
        try:
            if jwt.get_unverified_header(token).get("kid") != self._kid:
                raise Unauthenticated(
                    "The token was signed by a key we do not know; sign in again."
                )
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; sign in again.") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("The token is not valid; sign in again.") from None
        return Caller(str(claims["sub"]), claims.get("admin") is True)


def _new_pem() -> bytes:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
