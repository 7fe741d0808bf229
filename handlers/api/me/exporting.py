"""Everything about a person as JSON Lines: read page by page, so that memory does not grow with it.

Each line is ``{"kind": ..., "data": {...}}``. The last one is ``end`` and counts the others, so
whoever has it has all. What came to be while it is read may be missing; secrets always are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from domain.aggregate import Aggregate, Event
from domain.aggregates import of_stream
from domain.asset import READY, REJECTED, UPLOADED
from domain.commit import Commit
from domain.credits import CREDITS
from domain.errors import NotFound
from domain.sealed import Sealed
from domain.user import USER, UserSignedUp, WebhookEndpointAdded, WebhookSecretRotated
from handlers.api import credits, job_renderings, library, purchases
from handlers.api.keys.routes import keys_of
from handlers.api.me.person import Opened, me_of
from handlers.api.service import Service
from infra.clock import stamp
from projections import CREDITS_VIEW, JOBS_VIEW, LIBRARY_VIEW, PURCHASES_VIEW
from projections.credits import StatementLine
from projections.library import AssetView
from projections.projection import Projection, View
from projections.query import Versioned, latest, live, owned

_PAGE = 100
_CHUNK = 50
WITHHELD = "(secret)"
Line = tuple[str, Any]


async def exported(service: Service, user_id: str) -> AsyncIterator[bytes]:
    """The lines, in chunks."""
    lines = _counted(_everything(service, user_id))
    while chunk := await service.run(_some, lines):
        yield chunk


def _some(lines: Iterator[Line]) -> bytes:
    """The next few lines; empty at the end."""
    return b"".join(_encoded(*line) for line in islice(lines, _CHUNK))


def _encoded(kind: str, body: Any) -> bytes:
    return msgspec.json.encode({"kind": kind, "data": body}) + b"\n"


def _counted(lines: Iterable[Line]) -> Iterator[Line]:
    count = 0
    for line in lines:
        count += 1
        yield line
    yield "end", {"lines": count}


def _everything(service: Service, user_id: str) -> Iterator[Line]:
    yield "person", me_of(service, user_id)
    for key in keys_of(service, user_id):
        yield "api_key", key
    yield from _endpoints(service, user_id)
    for asset in _owned(service, LIBRARY_VIEW, user_id):
        yield (
            "upload",
            msgspec.to_builtins(library.render(service, asset))
            | {"url": _original(service, asset)},
        )
    for job in _owned(service, JOBS_VIEW, user_id):
        yield "job", job_renderings.render(service, job)
    for purchase in _owned(service, PURCHASES_VIEW, user_id):
        yield "purchase", purchases.render(purchase)
    yield from _account(service, user_id)
    yield from _events(service, user_id, USER.stream(user_id))
    yield from _events(service, user_id, CREDITS.stream(user_id))
    others: tuple[Projection[Any], ...] = (LIBRARY_VIEW, JOBS_VIEW, PURCHASES_VIEW)
    for view in others:
        for found in _owned(service, view, user_id):
            yield from _events(service, user_id, found.stream)


def _owned(
    service: Service, projection: Projection[View], user_id: str
) -> Iterator[Versioned[View]]:
    reading = service.application.reading
    generation, cursor = live(projection, reading), None
    while True:
        page = owned(projection, generation, user_id, reading, _PAGE, cursor)
        yield from page.items
        if (cursor := page.cursor) is None:
            return


def _original(service: Service, found: Versioned[AssetView]) -> str | None:
    view = found.view
    there = view.status in (UPLOADED, READY, REJECTED) and not view.purged
    name = library.render(service, found).filename
    return service.objects.presign_get(view.key, name, view.content_type) if there else None


def _endpoints(service: Service, user_id: str) -> Iterator[Line]:
    opened = Opened(service, user_id)
    for each in opened.state.endpoints.values():
        yield (
            "webhook_endpoint",
            {
                "endpoint_id": each.endpoint_id,
                "url": opened.field(each.url),
                "types": each.types,
                "created_at": stamp(each.created),
                "disabled": each.disabled,
            },
        )
        after: str | None = None
        while True:
            deliveries = service.application.deliveries
            page, after = deliveries.page(user_id, each.endpoint_id, _PAGE, after)
            for delivery in page:
                yield "delivery", delivery
            if after is None:
                break


def _account(service: Service, user_id: str) -> Iterator[Line]:
    application, stream = service.application, CREDITS.stream(user_id)
    reading = application.reading
    found = latest(CREDITS_VIEW, stream, reading)
    if found is None:
        return
    now = application.clock.now()
    yield "account", credits.render(stream, found.version, found.view.account, now)
    generation, cursor = live(CREDITS_VIEW, reading), None
    while True:
        page = reading.rows.lines(generation, stream, _PAGE, cursor)
        for row in page.rows:
            yield "statement_line", credits.line(msgspec.json.decode(row.body, type=StatementLine))
        if (cursor := page.cursor) is None:
            return


def _events(service: Service, user_id: str, stream: str) -> Iterator[Line]:
    aggregate = of_stream(stream)
    for commit in service.application.store.read(stream):
        for version, event in enumerate(_decoded(aggregate, commit), commit.first):
            fields = {
                name: _shown(service, user_id, stream, event, name)
                for name in event.__struct_fields__
            }
            yield "event", {
                "stream": stream, "version": version, "time": stamp(commit.t),
                "type": event.event_name(), "fields": fields,
            }  # fmt: skip


def _decoded(aggregate: Aggregate[Any], commit: Commit) -> list[Event]:
    return aggregate.decode(commit.events)  # type: ignore[arg-type]  # ours are JSON


def _shown(service: Service, user_id: str, stream: str, event: Event, name: str) -> Any:
    """A field as the person knows it: opened, and no secret."""
    value = getattr(event, name)
    if isinstance(event, WebhookEndpointAdded | WebhookSecretRotated) and name == "secret":
        return WITHHELD
    if isinstance(event, UserSignedUp) and name == "email":
        value = Sealed(event.email, event.sealed_at, "email")
    if name == "digest" and stream.startswith(USER.category + "-"):
        return WITHHELD
    if not isinstance(value, Sealed):
        return msgspec.to_builtins(value)
    try:
        place = (stream, value.version, value.field)
        return service.application.personal.open(user_id, place, value.text)
    except NotFound:
        return None  # of who was erased before
