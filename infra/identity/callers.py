"""Whom a request is made for."""

from __future__ import annotations

from msgspec import Struct

DEVELOPMENT = "development"
"""What users of the local stack's provider are kept as; its subjects are their addresses."""


class Caller(Struct, frozen=True):
    """Whom a token or an API key speaks for.

    admin: the token was asked for as an administrator's. scopes: what an API key may do; None for
    a signed-in person, who may do everything. session: the sign-in that the token belongs to;
    empty for API keys. mark: stands for the person's address, where that was on the list of
    administrators when the token was made (see ``Identity.mark``).
    """

    user_id: str
    admin: bool = False
    scopes: tuple[str, ...] | None = None
    session: str = ""
    mark: str = ""


def normalised(address: str) -> str:
    """An e-mail address as it is compared."""
    return address.strip().lower()
