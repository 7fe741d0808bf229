"""Who is asking: access tokens (JWT, EdDSA) and the development identity provider.

Tokens pin algorithm, issuer, audience and expiry (RFC 8725); ``kid`` is the RFC 7638-like
thumbprint of the public key. Production sign-in (OpenID Connect) has the same shape: an
issuer and a subject become a user id.
"""

from __future__ import annotations

import hashlib
import hmac
import os

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from commands.ports import Clock
from domain.errors import Unauthenticated
from domain.ids import derived
from infra.keys import KeyFiles
from infra.settings import Settings

ALGORITHM = "EdDSA"
LEEWAY_SECONDS = 5


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

    def issue(self, user_id: str) -> str:
        """An access token for that user."""
        now = self._clock.now() // 1000
        claims = {
            "sub": user_id,
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "iat": now,
            "exp": now + self._settings.access_token_seconds,
        }
        headers = {"kid": self._kid, "typ": "at+jwt"}
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> str:
        """The user id in a token of ours. Raises Unauthenticated and says what is wrong."""
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
        return str(claims["sub"])


def _new_pem() -> bytes:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
