"""The keys that sign access tokens: one signs, the others only verify.

A new key is published PUBLISHED_SECONDS before it signs, so that whoever keeps the key set
(RFC 7517) has it by then, and every process of ours has read the file again. The key before it
stays until each token that it signed has expired.
"""

from __future__ import annotations

import base64
import hashlib
import json
from threading import Lock

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from msgspec import Struct

from commands.ports import Clock
from infra.keys import KeyStore

LONGEST_TOKEN_SECONDS = 900
PUBLISHED_SECONDS = 600
RELOAD_SECONDS = 60
_HURRIED_SECONDS = 5
_LATE_SECONDS = RELOAD_SECONDS + 60
"""How much longer a process may sign with the old key, by a late look and another clock."""
_RING = "signing-ring.json"
_FIRST = "signing.pem"


class SigningKey(Struct, frozen=True):
    """pem: PKCS 8, private. signs_from: epoch seconds; 0 for the first key of all."""

    kid: str
    pem: str
    signs_from: int = 0

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key that signs."""
        return _loaded(self.pem.encode())

    @property
    def public(self) -> Ed25519PublicKey:
        """The key that verifies."""
        return self.private.public_key()

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 8037, section 2)."""
        return {**_required(self.public), "kid": self.kid, "use": "sig", "alg": "EdDSA"}


class SigningKeys:
    """The ring in the key store, read again each minute and when a token names an unknown key."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._lock = Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._looked = -RELOAD_SECONDS

    def signing(self) -> SigningKey:
        """The newest key whose time to sign has come."""
        now = self._now()
        return [key for key in self._current(RELOAD_SECONDS) if key.signs_from <= now][-1]

    def find(self, kid: str) -> SigningKey | None:
        """The key of that name, unless it is unknown or every token it signed has expired."""
        for patience in (RELOAD_SECONDS, _HURRIED_SECONDS):
            for key in self._current(patience):
                if key.kid == kid:
                    return key
        return None

    def knows(self, kid: str) -> bool:
        """Whether the key of that name counts, by what was read lately. Waits for nothing."""
        looked, keys, now = self._looked, self._keys, self._now()
        fresh = 0 <= now - looked < RELOAD_SECONDS
        return fresh and any(key.kid == kid for key in _useful(keys, now))

    def published(self) -> list[SigningKey]:
        """All keys of which tokens are valid or will be, in the order in which they sign."""
        return list(self._current(RELOAD_SECONDS))

    def rotate(self) -> SigningKey:
        """Add a key, which signs after PUBLISHED_SECONDS, and destroy those that are over.

        A key that still waits for its time stays, and the new one waits behind it.
        """
        kept: tuple[SigningKey, ...] = ()

        def turned(raw: bytes | None) -> bytes:
            nonlocal kept
            keys, now = _decoded(raw or self._first()), self._now()
            made = _named(_new_pem(), max(now + PUBLISHED_SECONDS, keys[-1].signs_from + 1))
            kept = (*_useful(keys, now), made)
            return msgspec.json.encode(kept)

        self._store.change(_RING, turned)
        if self._store.get(_FIRST) is not None:
            self._store.destroy(_FIRST)
        with self._lock:
            self._keys, self._looked = kept, self._now()
        return kept[-1]

    def _current(self, patience: int) -> tuple[SigningKey, ...]:
        now = self._now()
        with self._lock:
            if not 0 <= now - self._looked < patience:
                self._keys, self._looked = self._read(), now
            return _useful(self._keys, now)

    def _read(self) -> tuple[SigningKey, ...]:
        return _decoded(self._store.get_or_make(_RING, self._first))

    def _first(self) -> bytes:
        """A ring of one key: that of earlier versions, where there is one."""
        pem = self._store.get_or_make(_FIRST, _new_pem)
        return msgspec.json.encode([_named(pem, 0)])

    def _now(self) -> int:
        return self._clock.now() // 1000


def _decoded(raw: bytes) -> tuple[SigningKey, ...]:
    return msgspec.json.decode(raw, type=tuple[SigningKey, ...])


def thumbprint(public: Ed25519PublicKey) -> str:
    """The key's JWK thumbprint (RFC 7638, section 3; RFC 8037, appendix A.3)."""
    canonical = json.dumps(_required(public), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _useful(keys: tuple[SigningKey, ...], now: int) -> tuple[SigningKey, ...]:
    """Without those that stopped signing so long ago that their tokens have expired."""
    oldest = now - LONGEST_TOKEN_SECONDS - _LATE_SECONDS
    ended = [following.signs_from <= oldest for following in keys[1:]]
    return tuple(key for key, over in zip(keys, [*ended, False], strict=True) if not over)


def _named(pem: bytes, signs_from: int) -> SigningKey:
    return SigningKey(thumbprint(_loaded(pem).public_key()), pem.decode(), signs_from)


def _loaded(pem: bytes) -> Ed25519PrivateKey:
    private = load_pem_private_key(pem, password=None)
    assert isinstance(private, Ed25519PrivateKey)
    return private


def _required(public: Ed25519PublicKey) -> dict[str, str]:
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _new_pem() -> bytes:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
