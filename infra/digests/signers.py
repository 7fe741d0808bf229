"""Who signs: a P-256 key in a file beside the stack's other keys, or one in AWS KMS."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from domain.errors import Invalid, NotFound, Unavailable
from infra.faults import unavailable
from infra.keys import KeyStore

ALGORITHM = "ECDSA_SHA_256"
"""As KMS names it; on the curve P-256, signatures in DER."""

KEY_FILE = "digest.pem"
# KMS hashes what it signs up to this; a digest has some 600 bytes.
_KMS_BYTES = 4096
_ABSENT = {"NotFoundException", "KMSInvalidStateException", "DisabledException"}


class Signer(Protocol):
    """A key that signs digests."""

    @property
    def public_key(self) -> bytes:
        """Its public half, in PEM."""

    def sign(self, data: bytes) -> bytes:
        """ECDSA on P-256 over SHA-256 of ``data``, in DER."""


class KeyFileSigner:
    """The key in ``digest.pem``, made when it is first asked for."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    @cached_property
    def _private(self) -> ec.EllipticCurvePrivateKey:
        pem = self._keys.get_or_make(KEY_FILE, _new_pem)
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise Invalid(f"{KEY_FILE} among the keys is no private key: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not _fits(private.curve):
            raise Invalid(f"{KEY_FILE} among the keys is no private key on the curve P-256.")
        return private

    @property
    def public_key(self) -> bytes:
        """See Signer."""
        return _pem(self._private.public_key())

    def sign(self, data: bytes) -> bytes:
        """See Signer."""
        return self._private.sign(data, ec.ECDSA(SHA256()))


class KmsSigner:
    """client: a boto3 KMS client; key: id, ARN or alias of an ECC_NIST_P256 SIGN_VERIFY key."""

    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key

    @cached_property
    def public_key(self) -> bytes:
        """See Signer. Raises NotFound, AccessDenied, Unavailable."""
        answer = self._asked("get_public_key")
        public = load_der_public_key(answer["PublicKey"])
        if not isinstance(public, ec.EllipticCurvePublicKey) or not _fits(public.curve):
            raise Invalid(f"The KMS key {self._key} is not of the kind ECC_NIST_P256, SIGN_VERIFY.")
        return _pem(public)

    def sign(self, data: bytes) -> bytes:
        """See Signer; the signature is checked before it is given back."""
        assert len(data) <= _KMS_BYTES, "KMS signs more only as a hash"
        # RAW: KMS hashes what we send, so the signature is the same as over its SHA-256.
        answer = self._asked("sign", Message=data, MessageType="RAW", SigningAlgorithm=ALGORITHM)
        signature: bytes = answer["Signature"]
        if not holds(self.public_key, signature, data):
            raise Unavailable(f"KMS signed something else with the key {self._key}; try again.")
        return signature

    def _asked(self, operation: str, **options: Any) -> Any:
        try:
            return getattr(self._client, operation)(KeyId=self._key, **options)
        except (ClientError, BotoCoreError) as error:
            told = error.response["Error"] if isinstance(error, ClientError) else {}
            if told.get("Code") in _ABSENT:
                raise NotFound(
                    f"The KMS key {self._key} cannot be used ({told.get('Message')}); "
                    "SPLITSOUND_DIGEST_KEY has to name the key of the stack's output DigestKey."
                ) from error
            raise unavailable("KMS", error, f"key/{self._key}") from error


def fingerprint(public_key: bytes) -> str:
    """SHA-256 in hex of a public key (PEM), as SPKI in DER. Raises Invalid."""
    der = _loaded(public_key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def holds(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether that key (PEM) signed these bytes. Raises Invalid where it is no such key."""
    try:
        _loaded(public_key).verify(signature, data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _loaded(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        public = load_pem_public_key(pem)
    except ValueError as error:
        raise Invalid("That is no public key in PEM.") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or not _fits(public.curve):
        raise Invalid("The public key is not on the curve P-256.")
    return public


def _fits(curve: ec.EllipticCurve) -> bool:
    return isinstance(curve, ec.SECP256R1)


def _pem(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _new_pem() -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
