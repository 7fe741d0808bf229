"""The provider's two secrets, made once and kept beside the other keys."""

from __future__ import annotations

import hashlib
import json
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from infra.keys import KeyFiles

ALGORITHM = "RS256"
_CLIENT_SECRET = "identity_client.key"  # noqa: S105 (a file's name)
_SIGNING = "identity_provider.pem"


class Secrets:
    """client: what the API shows; pem: the key that signs ID tokens."""

    def __init__(self, client: str, pem: bytes) -> None:
        self.client = client
        self._pem = pem

    @classmethod
    def of(cls, keys: Path) -> Secrets:
        """Those in that directory; whoever asks first makes them."""
        return cls(client_secret(keys), KeyFiles(keys).get_or_make(_SIGNING, _new_pem))

    @cached_property
    def private(self) -> RSAPrivateKey:
        """The key that signs."""
        loaded = load_pem_private_key(self._pem, password=None)
        assert isinstance(loaded, RSAPrivateKey)
        return loaded

    @cached_property
    def jwk(self) -> dict[str, Any]:
        """The public half (RFC 7517)."""
        algorithm = jwt.algorithms.RSAAlgorithm
        public = json.loads(algorithm.to_jwk(self.private.public_key()))
        kid = hashlib.sha256(public["n"].encode()).hexdigest()[:16]
        return {
            "kty": "RSA", "n": public["n"], "e": public["e"], "kid": kid, "use": "sig",
            "alg": ALGORITHM,
        }  # fmt: skip


def client_secret(keys: Path) -> str:
    """What the API shows."""
    files = KeyFiles(keys)
    return files.get_or_make(_CLIENT_SECRET, lambda: secrets.token_hex(24).encode()).decode()


def _new_pem() -> bytes:
    private = generate_private_key(public_exponent=65537, key_size=2048)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
