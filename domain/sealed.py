"""Personal text in events: sealed under the person's own key, bound to the place it stands in."""

from __future__ import annotations

from msgspec import Struct


class Sealed(Struct, frozen=True, array_like=True):
    """text: ciphertext in base64 (AES-GCM). It opens only as that field of that version of the
    stream that it was sealed for, and never again once the person's key is destroyed.
    """

    text: str
    version: int
    field: str
