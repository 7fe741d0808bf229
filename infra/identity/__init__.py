"""Who is asking: signing keys, access tokens, and how an account becomes a user id."""

from __future__ import annotations

from infra.identity.callers import DEVELOPMENT, Caller, normalised
from infra.identity.ring import SigningKey, SigningKeys
from infra.identity.tokens import ALGORITHM, Identity

__all__ = [
    "ALGORITHM",
    "DEVELOPMENT",
    "Caller",
    "Identity",
    "SigningKey",
    "SigningKeys",
    "normalised",
]
