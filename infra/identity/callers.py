"""Whom a request is made for."""

from __future__ import annotations

from msgspec import Struct

DEVELOPMENT = "development"
"""The issuer of the development identity provider, whose subjects are addresses."""


class Caller(Struct, frozen=True):
    """Whom a token or an API key speaks for.

    admin: the token was asked for as an administrator's. scopes: what an API key may do; None for
    a signed-in person, who may do everything. session: the sign-in that the token belongs to;
    empty for API keys. issued: of the token, epoch seconds; 0 for API keys.
    """

    user_id: str
    admin: bool = False
    scopes: tuple[str, ...] | None = None
    session: str = ""
    issued: int = 0


def normalised(address: str) -> str:
    """An e-mail address as it is compared."""
    return address.strip().lower()
