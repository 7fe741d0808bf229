"""``GET /v1/usage``: what a user's jobs came to, day by day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, NoReturn

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec import Struct

from domain.errors import Invalid
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service
from projections import USAGE_VIEW
from projections.query import owned_between
from projections.usage import Day, UsageView, add, between, by_day

DAYS, MOST_DAYS = 31, 92

# Text, and dates only here: Litestar's own refusals name our variables, not the parameters.
First = Annotated[
    str | None,
    QueryParameter(name="from", format="date", description="The first day (UTC), as 2026-11-23."),
]
Last = Annotated[
    str | None,
    QueryParameter(name="to", format="date", description="The last day (UTC); else today."),
]
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Usage(Struct, frozen=True, kw_only=True):
    """jobs: that were requested, by how they stand now; failures: failed ones by code.

    reused: completed jobs whose stems were given again at no cost. audio_seconds: of the other
    completed ones; credits: of completed jobs; what was given back does not count.
    """

    jobs: int
    completed: int
    reused: int
    failed: int
    cancelled: int
    open: int
    audio_seconds: float
    credits: int
    failures: dict[str, int]


class DayUsage(Usage, frozen=True, kw_only=True):
    """The same for the jobs that were requested on one day (UTC)."""

    day: date


class UsageReport(Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """days: those with jobs, newest first; total: of all of them."""

    first: date
    last: date
    days: list[DayUsage]
    total: Usage


@get(
    "/usage",
    opt={"scope": "read"},
    responses=NOT_MODIFIED | problems(401, 422),
    summary="Usage by day",
    operation_id="getUsage",
    response_description="Jobs, audio seconds, credits and failures, per day and in total.",
    tags=["usage"],
)
async def usage(
    request: ApiRequest, service: Api, first: First = None, last: Last = None
) -> Response[UsageReport]:
    """The last 31 days unless told, at most 92. May lag behind the events for a moment."""
    return answered(request, await report(service, request.user, first, last))


async def report(
    service: Service, user_id: str, first: str | None, last: str | None
) -> UsageReport:
    """One user's days from first to last, both included. Raises Invalid."""
    begin, end = span(today(service), dated("from", first), dated("to", last))
    views = await service.run(_views, service, user_id, begin, end)
    days = [DayUsage(day=date.fromisoformat(day.day), **counts(day)) for day in by_day(views)]
    return UsageReport(first=begin, last=end, days=days, total=total(views))


def dated(parameter: str, text: str | None) -> date | None:
    """The day that a parameter names. Raises Invalid."""
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    return _refuse(parameter, f"{text[:40]!r} is no day; write it as 2026-11-23.")


def span(now: date, first: date | None, last: date | None) -> tuple[date, date]:
    """The days asked for. Raises Invalid for none and for too many."""
    last = last or (max(now, first) if first else now)
    try:
        first = first or last - timedelta(days=DAYS - 1)
    except OverflowError:
        first = date.min
    if first > last:
        _refuse("from", f"{first} is after {last}.")
    if (last - first).days >= MOST_DAYS:
        _refuse("from", f"At most {MOST_DAYS} days at once; {first} to {last} are more.")
    return first, last


def today(service: Service) -> date:
    """Today (UTC)."""
    return datetime.fromtimestamp(service.application.clock.now() / 1000, UTC).date()


def total(views: Iterable[UsageView]) -> Usage:
    """All of them in one."""
    whole = Day("")
    for view in views:
        add(whole, view)
    return Usage(**counts(whole))


def counts(day: Day) -> dict[str, Any]:
    """What a day adds up to, as the fields of Usage."""
    return {
        "jobs": day.jobs,
        "completed": day.completed,
        "reused": day.reused,
        "failed": day.failed,
        "cancelled": day.cancelled,
        "open": day.open,
        "audio_seconds": round(day.audio_seconds, 3),
        "credits": day.credits,
        "failures": day.failures,
    }


def _views(service: Service, user_id: str, first: date, last: date) -> list[UsageView]:
    reading = service.application.reading
    found = owned_between(
        USAGE_VIEW, user_id, reading, between(first.isoformat(), last.isoformat())
    )
    return [each.view for each in found]


def _refuse(parameter: str, detail: str) -> NoReturn:
    raise Invalid(detail, errors=[{"parameter": parameter, "detail": detail}])
