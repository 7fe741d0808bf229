"""Searching and sorting a library: names are sealed, so it happens in memory over the owner's rows.

It reads all of an owner's rows (about a millisecond for ten on DynamoDB, 1 MB per request to it)
and opens each name; plain lists do not come here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from domain.errors import Invalid
from handlers.api.names import name_of, tags_of
from handlers.api.service import Service
from projections import LIBRARY_VIEW
from projections.library import AssetView
from projections.query import Slice, Versioned, owned_between

MOST = 10_000
SORTS = ("created", "-created", "name", "-name", "length", "-length")


class Search(Struct, frozen=True):
    """q: words in the name or a tag. deleted: exclude or only. sort: one of SORTS."""

    q: str = ""
    tag: str = ""
    status: str = ""
    deleted: str = "exclude"
    sort: str = "-created"


def folded(text: str) -> str:
    """Without case and accents, for comparing."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def search(
    service: Service, owner: str, wish: Search, limit: int, cursor: str | None
) -> Slice[AssetView]:
    """A page of what fits. A cursor continues after the upload that it names, where that stands
    by now; raises Invalid when that one no longer fits, or the library is too large.
    """
    scope = f"search|{owner}|{wish!r}"
    after = service.cursors.take(scope, cursor)
    rows = owned_between(LIBRARY_VIEW, owner, service.application.reading, ("0", "~"))
    if len(rows) > MOST:
        raise Invalid(f"A library of more than {MOST} uploads can only be listed by time.")
    fitting = [row for row in rows if _fits(service, row, wish)]
    # By id among equals, so that the order is one order.
    fitting.sort(key=lambda row: row.stream)
    fitting.sort(key=_key(service, wish.sort.lstrip("-")), reverse=wish.sort.startswith("-"))
    start = _after(fitting, after)
    page = fitting[start : start + limit]
    more = page and start + limit < len(fitting)
    return Slice(page, service.cursors.give(scope, page[-1].stream if more else None))


def _after(rows: list[Versioned[AssetView]], stream: str | None) -> int:
    if stream is None:
        return 0
    for place, row in enumerate(rows):
        if row.stream == stream:
            return place + 1
    raise Invalid("What this cursor continues after is no longer there; start anew.")


def _fits(service: Service, row: Versioned[AssetView], wish: Search) -> bool:
    view = row.view
    if bool(view.deleted_until) != (wish.deleted == "only"):
        return False
    if wish.status and view.status != wish.status:
        return False
    if not wish.q and not wish.tag:
        return True
    tags = [folded(tag) for tag in tags_of(service, row.stream, view)]
    if wish.tag and folded(wish.tag) not in tags:
        return False
    text = " ".join([folded(name_of(service, row.stream, view)), *tags])
    return all(word in text for word in folded(wish.q).split())


def _key(service: Service, field: str) -> Callable[[Versioned[AssetView]], Any]:
    if field == "name":
        return lambda row: folded(name_of(service, row.stream, row.view))
    if field == "length":
        return lambda row: row.view.audio.seconds if row.view.audio else 0.0
    return lambda row: row.view.created
