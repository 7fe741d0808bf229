"""``/v1/credits``: the account and its statement."""

from __future__ import annotations

import msgspec
from litestar import Response, Router, get
from msgspec import Struct

from domain import credits
from domain.credits import CreditState
from domain.grants import Grant
from handlers.api.openapi import problems
from handlers.api.paging import Cursor, Limit
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.requests import ApiRequest
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service
from projections import CREDITS_VIEW
from projections.credits import AccountView, StatementLine
from projections.query import Versioned, latest, live


class GrantBody(Struct, frozen=True):
    """Credits with a common origin. left: can be spent; held: in open jobs.

    source: signup, purchase, promotion, adjustment, refund or reinstatement.
    """

    grant_id: str
    left: int
    held: int
    expires_at: Moment | None
    priority: int
    source: str


class Account(Struct, frozen=True, kw_only=True):
    """granted = available + reserved + captured + expired + revoked - debt, always.

    grants: those that still have credits, oldest first. debt: of payments that were taken back
    after their credits were spent; what comes in settles it first.
    """

    available: int
    reserved: int
    captured: int
    granted: int
    expired: int
    revoked: int
    debt: int
    grants: list[GrantBody]
    stream: str
    version: int


class Line(Struct, frozen=True, kw_only=True):
    """One line of the statement. change: of what can be spent; balance: after it.

    kind: grant, reserve, capture, release, expire, revoke or settle (a debt).
    """

    version: int
    time: Moment
    kind: str
    change: int
    amount: int
    balance: int
    job_id: str | None
    grant_id: str | None
    purchase_id: str | None
    reason: str


class Statement(Struct, frozen=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Line]
    cursor: str | None


@get(
    "/",
    opt={"scope": "read"},
    responses=NOT_MODIFIED | problems(401, 409),
    summary="The balance",
    operation_id="getCredits",
    response_description="The account.",
)
async def balance(request: ApiRequest, service: Api) -> Response[Account]:
    """What can be spent, what open jobs hold, what was spent. Never stale."""
    stream = f"credits-{request.user}"
    found = await service.run(latest, CREDITS_VIEW, stream, service.application.reading)
    account = found or Versioned(stream, 0, AccountView())
    now = service.application.clock.now()
    return answered(request, render(stream, account.version, account.view.account, now))


@get(
    "/history",
    opt={"scope": "read"},
    responses=NOT_MODIFIED | problems(401, 409, 422),
    summary="The statement",
    operation_id="getCreditsHistory",
    response_description="A page of the statement.",
)
async def history(
    request: ApiRequest, service: Api, limit: Limit = 50, cursor: Cursor = None
) -> Response[Statement]:
    """Every movement of the account, newest first."""
    return answered(request, await service.run(_statement, service, request.user, limit, cursor))


def _statement(service: Service, user_id: str, limit: int, cursor: str | None) -> Statement:
    reading, stream = service.application.reading, f"credits-{user_id}"
    generation = live(CREDITS_VIEW, reading)
    scope = f"{generation}|{stream}"
    start = service.cursors.take(scope, cursor)
    if start is None:
        latest(CREDITS_VIEW, stream, reading)
    page = reading.rows.lines(generation, stream, limit, start)
    lines = [msgspec.json.decode(row.body, type=StatementLine) for row in page.rows]
    return Statement([line(each) for each in lines], service.cursors.give(scope, page.cursor))


def line(told: StatementLine) -> Line:
    """A line of the statement as the API shows it."""
    return Line(
        version=told.version,
        time=moment(told.time),
        kind=told.kind,
        change=told.change,
        amount=told.amount,
        balance=told.balance,
        job_id=told.job_id,
        grant_id=told.grant_id,
        purchase_id=told.purchase_id,
        reason=told.reason,
    )


def render(stream: str, version: int, account: CreditState, now: int) -> Account:
    """The account at ``now`` (epoch ms). Changes ``account``."""
    # Expiry is recorded lazily, by the next command; here it shows at once.
    account = credits.CREDITS.fold(credits.expire(account, now), account)
    return Account(
        available=account.available(now),
        reserved=account.reserved,
        captured=account.captured,
        granted=account.granted,
        expired=account.expired,
        revoked=account.revoked,
        debt=account.debt,
        grants=[_grant(i, g) for i, g in account.grants.items()],
        stream=stream,
        version=version,
    )


def _grant(grant_id: str, grant: Grant) -> GrantBody:
    return GrantBody(
        grant_id, grant.left, grant.held, moment_or_none(grant.expires), grant.priority,
        grant.source,
    )  # fmt: skip


CREDITS = Router("/credits", route_handlers=[balance, history], tags=["credits"])
