"""``/v1/admin/usage``: everybody's usage of a day, and one user's by day."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from handlers.api.openapi import problems
from handlers.api.requests import known_id
from handlers.api.service import Api, Service
from handlers.api.usage import First, Last, Usage, UsageReport, counts, dated, report, today, total
from projections import USAGE_VIEW
from projections.query import live
from projections.usage import by_user

DayAsked = Annotated[
    str | None,
    QueryParameter(format="date", description="The day (UTC), as 2026-11-23; else today."),
]


class UserUsage(Usage, frozen=True, kw_only=True):
    """One user's jobs of that day."""

    user_id: str


class DayReport(Struct, frozen=True, kw_only=True):
    """users: those with jobs requested on that day (UTC), who had most first."""

    day: date
    users: list[UserUsage]
    total: Usage


@get(
    "/usage",
    responses=problems(401, 403, 422),
    summary="Everybody's usage of a day",
    operation_id="getUsageOfDay",
    response_description="Jobs, audio seconds, credits and failures, per user and in total.",
)
async def day_usage(service: Api, day: DayAsked = None) -> DayReport:
    """Who used how much. Reads each job of the day."""
    return await service.run(_of_day, service, dated("day", day) or today(service))


@get(
    "/usage/{user_id:str}",
    responses=problems(401, 403, 404, 422),
    summary="One user's usage by day",
    operation_id="getUsageOfUser",
    response_description="Jobs, audio seconds, credits and failures, per day and in total.",
)
async def user_usage(
    user_id: FromPath[str], service: Api, first: First = None, last: Last = None
) -> UsageReport:
    """As the user sees it at `/v1/usage`; empty for a user without jobs."""
    return await report(service, known_id("usr", user_id), first, last)


def _of_day(service: Service, day: date) -> DayReport:
    reading = service.application.reading
    rows = reading.rows.with_status(live(USAGE_VIEW, reading), day.isoformat())
    views = [USAGE_VIEW.read(row) for row in rows]
    users = [UserUsage(user_id=user, **counts(used)) for user, used in by_user(views).items()]
    return DayReport(
        day=day, users=sorted(users, key=lambda u: (-u.jobs, u.user_id)), total=total(views)
    )
