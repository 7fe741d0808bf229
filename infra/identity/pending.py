"""Sign-ins on their way: what has to be known when the browser comes back, in a cookie of its own.

The cookie binds a sign-in to the browser that began it. It is sealed with AES-GCM, since it holds
the secret of PKCE (RFC 7636), and nothing is kept here for people who never come back.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from commands.ports import Clock
from domain.errors import SignInRefused
from infra.keys import KeyStore

SECONDS = 600
_BOUND_TO = b"splitsound pending sign-in"
_NONCE = 12


class PendingLogin(Struct, frozen=True):
    """return_to: the page to come back to. admin: ask for an administrator's token.

    redirect_uri: ours, where the provider sends the browser. until: epoch seconds.
    """

    provider: str
    state: str
    nonce: str
    verifier: str
    return_to: str
    redirect_uri: str
    until: int
    admin: bool = False


class PendingLogins:
    """Begins them, and knows them again."""

    def __init__(self, keys: KeyStore, clock: Clock) -> None:
        self._cipher = AESGCM(keys.get_or_make("sign-in.key", lambda: os.urandom(32)))
        self._clock = clock

    def begin(
        self, provider: str, return_to: str, redirect_uri: str, *, admin: bool
    ) -> PendingLogin:
        """A new one, good for SECONDS."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        until = self._now() + SECONDS
        return PendingLogin(provider, state, nonce, verifier, return_to, redirect_uri, until, admin)

    def seal(self, pending: PendingLogin) -> str:
        """As the cookie has it."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.json.encode(pending), _BOUND_TO)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, cookie: str, state: str) -> PendingLogin:
        """What a cookie holds of the sign-in with that state.

        Raises SignInRefused: none, forged, another browser's or too late.
        """
        try:
            raw = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            opened = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _BOUND_TO)
            pending = msgspec.json.decode(opened, type=PendingLogin)
        except (InvalidTag, ValueError, binascii.Error):
            raise unknown() from None
        if not secrets.compare_digest(pending.state.encode(), state.encode()):
            raise unknown()
        if self._now() >= pending.until:
            raise SignInRefused(
                f"That took more than {SECONDS // 60} minutes; start the sign-in again.",
                reason="state",
            )
        return pending

    def _now(self) -> int:
        return self._clock.now() // 1000


def unknown() -> SignInRefused:
    """No sign-in of this browser's."""
    return SignInRefused(
        "This browser did not begin that sign-in here, or it is too long ago; start it again.",
        reason="state",
    )
