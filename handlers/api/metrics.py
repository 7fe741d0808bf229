"""``GET /metrics``: for Prometheus."""

from __future__ import annotations

import hmac
from typing import Any

from litestar import MediaType, Response, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from domain.errors import AdminClaimMissing, NotAnAdmin
from handlers.api.openapi import SCHEME, problems
from handlers.api.requests import administrator, authenticated
from handlers.api.service import Api, Service


async def may_scrape(
    connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler
) -> None:
    """A guard: the scrape token of the settings, or an administrator's access token.

    Raises Unauthenticated, NotAnAdmin or AdminClaimMissing.
    """
    service: Service = connection.app.state.service
    wanted = service.application.settings.metrics_token
    scheme, _, token = connection.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(token.strip().encode(), wanted.encode())
    if wanted and same and scheme.lower() == "bearer":
        return
    await authenticated(connection, route)
    await administrator(connection, route)


@get(
    "/metrics",
    guards=[may_scrape],
    opt={"scope": None},
    security=[{SCHEME: []}],
    responses=problems(401, AdminClaimMissing, NotAnAdmin),
    media_type=MediaType.TEXT,
    summary="Metrics",
    operation_id="getMetrics",
    response_description="Prometheus's text format.",
    tags=["health"],
)
async def metrics(service: Api) -> Response[str]:
    """Lag, parked streams, queues, open and stuck jobs, failures, counted now; requests that this
    process answered. With the scrape token (`SPLITSOUND_METRICS_TOKEN`) or an administrator's.
    """
    text = await service.run(service.scrapes.text)
    return Response((text + service.traffic.text()).decode(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
