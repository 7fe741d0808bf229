"""How many requests one may send: per user and kind of route, per address where nobody signed in.

A route says its kind by ``opt={"rate": "uploads"}``, or None where nothing is counted; else it is
``reads`` or ``writes`` by its method, and ``anonymous`` where anybody may ask. What is refused
before a route handler (a token that does not verify, a path that is none) counts for the address.
Answers tell by ``RateLimit`` and ``RateLimit-Policy``, after the IETF's draft of these names.
"""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from domain.errors import TooManyRequests
from handlers.api.service import Service
from infra.rates import Quota

HEADERS = ("RateLimit", "RateLimit-Policy")
ANONYMOUS, AUTH = "anonymous", "auth"
_READS = frozenset({"GET", "HEAD"})
# Answers that came before any route handler counted the request.
_UNCOUNTED = frozenset({401, 403, 404, 405})


async def admitted(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """A guard behind ``authenticated``. Raises TooManyRequests."""
    # Nothing here waits; but what is not async Litestar calls in a thread of its own.
    name = route.opt.get("rate", _usual(connection.scope))
    if name is not None:
        _take(connection.app.state.service, connection.scope, name)


async def counted(request: Request[Any, Any, Any]) -> None:
    """Before route handlers that anybody may ask. Raises TooManyRequests."""
    await admitted(request, request.route_handler)


def struck(service: Service, scope: Scope, status: int) -> TooManyRequests | None:
    """Count what failed before anything counted it; what to answer instead, if it was too much."""
    if status not in _UNCOUNTED or "quota" in scope["state"]:
        return None
    try:
        _take(service, scope, _usual(scope))
    except TooManyRequests as error:
        return error
    return None


def headers(scope: Scope) -> dict[str, str]:
    """How the caller stands, where the request was counted."""
    quota: Quota | None = scope["state"].get("quota")
    if quota is None:
        return {}
    policy = quota.policy
    told = (
        f'"{policy.name}";r={quota.left};t={quota.reset}',
        f'"{policy.name}";q={policy.most};w={policy.seconds}',
    )
    return dict(zip(HEADERS, told, strict=True))


def _usual(scope: Any) -> str:
    if not scope.get("user"):
        return ANONYMOUS
    return "reads" if scope["method"] in _READS else "writes"


def _take(service: Service, scope: Any, name: str) -> None:
    policy = service.policies.get(name)
    if policy is None:
        return
    rates = service.rates
    peer = scope.get("client")
    whom = scope.get("user") or rates.whom(peer[0] if peer else "")
    quota = scope["state"]["quota"] = rates.take(whom, policy)
    if quota.exceeded:
        raise TooManyRequests(
            f"More than {policy.most} requests of the kind {name!r} in {policy.seconds} seconds. "
            f"Wait for {quota.reset} s.",
            policy=name, limit=policy.most, retry_after=quota.reset,
        )  # fmt: skip
