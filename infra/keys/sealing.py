"""How a secret is kept from whoever can read the table that it stands in."""

from __future__ import annotations

from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import Invalid
from infra.faults import unavailable

MOST_BYTES = 4096
"""What KMS encrypts in one piece."""


class Sealing(Protocol):
    """Encryption that is bound to the secret's name. Raises Unavailable."""

    def seal(self, name: str, secret: bytes) -> bytes:
        """Ciphertext, which opens under that name only."""

    def open(self, name: str, sealed: bytes) -> bytes:
        """The secret."""


class KmsSealing:
    """By a symmetric key that never leaves KMS; the name is the encryption context.

    client: a boto3 KMS client; key: id, ARN or alias of a SYMMETRIC_DEFAULT key.
    """

    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key

    def seal(self, name: str, secret: bytes) -> bytes:
        """See Sealing. Raises Invalid for what is longer than MOST_BYTES."""
        if len(secret) > MOST_BYTES:
            raise Invalid(f"The secret {name} has {len(secret)} bytes; KMS takes {MOST_BYTES}.")
        answer = self._asked("encrypt", Plaintext=secret, EncryptionContext={"name": name})
        sealed: bytes = answer["CiphertextBlob"]
        return sealed

    def open(self, name: str, sealed: bytes) -> bytes:
        """See Sealing."""
        answer = self._asked("decrypt", CiphertextBlob=sealed, EncryptionContext={"name": name})
        secret: bytes = answer["Plaintext"]
        return secret

    def _asked(self, operation: str, **options: Any) -> Any:
        try:
            return getattr(self._client, operation)(KeyId=self._key, **options)
        except (ClientError, BotoCoreError) as error:
            raise unavailable("KMS", error, f"key/{self._key}") from error
