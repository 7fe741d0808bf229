"""API keys: what a key looks like, what it may do, how it is recognised.

A key is ``ssk_`` and 91 characters of Crockford's base 32: whose it is (26), which one (26), a
secret of 160 bits (32), and the CRC-32 of all before (7), so that a mistyped key, or a thing that
only looks like one, is refused without asking the store, and scanners for leaked secrets know a
real one (as GitHub's tokens: "Behind GitHub's new authentication token formats", 2021).
The secret is random, so its plain SHA-256 is safe to keep.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib

from msgspec import Struct

from domain.errors import Invalid, Unauthenticated
from domain.sealed import Sealed

PREFIX = "ssk_"
SECRET_BYTES = 20
SCOPES = {
    "read": "read jobs, the library, credits, and their events",
    "write": "upload, separate, and change the library",
    "billing": "buy credits",
    "webhooks": "manage webhook endpoints",
}
"""What a key may do. Keys, sessions and the account itself are only for the signed-in person."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = len(PREFIX) + 26 + 26 + 32 + 7


class ApiKey(Struct, frozen=True):
    """digest: SHA-256 of the key's text in hex. created, expires: epoch ms."""

    key_id: str
    name: Sealed
    digest: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None = None

    def opens(self, text: str, now: int) -> bool:
        """Whether that text is this key and it is still good."""
        same = hmac.compare_digest(digest(text), self.digest)
        return same and (self.expires is None or now < self.expires)


class Named(Struct, frozen=True):
    """Whose key a text claims to be, and which."""

    user_id: str
    key_id: str


def compose(user_id: str, key_id: str, secret: bytes) -> str:
    """The key's text, shown once. secret: SECRET_BYTES of randomness."""
    number = int.from_bytes(secret)
    body = user_id.partition("_")[2] + key_id.partition("_")[2]
    body += "".join(_ALPHABET[(number >> shift) & 31] for shift in range(155, -1, -5))
    return PREFIX + body + _checksum(body)


def parse(text: str) -> Named:
    """Raises Unauthenticated when it cannot be a key of ours."""
    body = text[len(PREFIX) : -7]
    if len(text) != _LENGTH or not text.startswith(PREFIX) or text[-7:] != _checksum(body):
        raise Unauthenticated("This is no API key of ours: it is incomplete or mistyped.")
    return Named("usr_" + body[:26], "key_" + body[26:52])


def digest(text: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def known_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in our order. Raises Invalid for one that there is not, or none."""
    unknown = [name for name in scopes if name not in SCOPES]
    if unknown or not scopes:
        said = f"There is no scope {unknown[0][:64]!r}" if unknown else "A key needs a scope"
        raise Invalid(
            f"{said}; name some of {', '.join(SCOPES)}.",
            errors=[{"pointer": "#/scopes", "detail": "Unknown scope or none."}],
        )
    return tuple(name for name in SCOPES if name in scopes)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(30, -1, -5))
