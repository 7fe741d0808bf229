"""Lists of a person's own things: a page of them, with a write of their own in it."""

from __future__ import annotations

from domain.errors import Invalid
from handlers.api.requests import known_id
from handlers.api.service import Service
from handlers.history import CATEGORIES
from projections.projection import Projection, View
from projections.query import Slice, with_own_write

_PREFIXES = {category: prefix for prefix, category in CATEGORIES.items()}


async def listed(
    service: Service,
    projection: Projection[View],
    owner: str,
    limit: int,
    cursor: str | None,
    stream: str | None,
    min_version: int,
) -> Slice[View]:
    """A page of the owner's views, newest first. On the first page stands what a command wrote to
    ``stream``, at ``min_version`` or later, however far the projector lags.

    Raises Invalid for a stream of another kind, NotFound for somebody else's.
    """
    require_stream(projection.aggregate.category, stream)
    page = await service.run(service.page, projection, owner, limit, cursor)
    if stream is None or cursor is not None:
        return page
    return with_own_write(page, await service.own(projection, stream, owner, min_version))


def require_stream(category: str, stream: str | None) -> None:
    """Raises Invalid for a stream of another kind, NotFound for one that cannot be."""
    if stream is None:
        return
    kind, _, identity = stream.partition("-")
    if kind != category:
        raise Invalid(
            f"This list is made of {category} streams.",
            errors=[{"parameter": "stream", "detail": f"Expected {category}-<id>."}],
        )
    known_id(_PREFIXES[category], identity)
