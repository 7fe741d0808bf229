"""What operators say when they act, and under whose name it is kept."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta as Rule
from msgspec import Struct

from domain.commit import Meta
from domain.reasons import MAX_CHARACTERS
from handlers.api.patterns import NOT_BLANK
from handlers.api.requests import ApiRequest
from handlers.api.service import Service

Reason = Annotated[
    str,
    Rule(
        min_length=1,
        max_length=MAX_CHARACTERS,
        description="Why; it is kept.",
        extra_json_schema={"pattern": NOT_BLANK},
    ),
]


class Because(Struct, frozen=True, forbid_unknown_fields=True):
    """reason: why; it is kept with the fact."""

    reason: Reason


def acting(service: Service, request: ApiRequest, route: str, key: str | None) -> Meta:
    """The actor is the administrator's user id. The same key on the same route acts once."""
    return service.meta(request.user, request.request_id, f"admin/{route}", key)
