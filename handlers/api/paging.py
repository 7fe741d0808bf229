"""Page cursors that only we can make: the table's cursor, bound to whose list it continues.

A cursor from elsewhere (another list, another user, edited) is refused as such, instead of
reaching the table as a key that it cannot start from.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Annotated

from litestar.params import QueryParameter

from domain.errors import Invalid
from handlers.api.patterns import stream_of
from infra.keys import KeyStore

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="Items per page.")]
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=4096, description="`cursor` of the previous page; opaque."),
]
MinVersion = Annotated[
    int,
    QueryParameter(
        ge=1,
        le=2**53,
        description="`version` that a command answered: this answer is at least that new.",
    ),
]


def own_stream(category: str, prefix: str) -> QueryParameter:
    """The parameter beside ``min_version``. prefix: of the ids in that category."""
    return QueryParameter(
        description="`stream` that a command answered.",
        schema_extra={"pattern": stream_of(category, prefix)},
    )


class Cursors:
    """Signs with a key of its own, shared by all processes of a deployment."""

    def __init__(self, keys: KeyStore) -> None:
        self._key = keys.get_or_make("cursor.key", lambda: os.urandom(32))

    def give(self, scope: str, cursor: str | None) -> str | None:
        """The cursor to hand out for that list."""
        return f"{cursor}.{self._mac(scope, cursor)}" if cursor else None

    def take(self, scope: str, given: str | None) -> str | None:
        """The table's cursor. Raises Invalid for one that we did not hand out for that list."""
        if given is None:
            return None
        cursor, _, mac = given.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(scope, cursor).encode()):
            raise Invalid(
                "This cursor is not one of this list; start from the first page.",
                errors=[{"parameter": "cursor", "detail": "Not a cursor of this list."}],
            )
        return cursor

    def _mac(self, scope: str, cursor: str) -> str:
        text = f"{scope}\x00{cursor}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:24]
