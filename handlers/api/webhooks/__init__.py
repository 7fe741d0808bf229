"""Webhooks out: to which addresses a person's messages go, and what became of each message."""

from __future__ import annotations

from litestar import Router

from handlers.api.webhooks.deliveries import DELIVERY_ROUTES
from handlers.api.webhooks.endpoints import ENDPOINT_ROUTES
from handlers.api.webhooks.secrets import SECRET_ROUTES

WEBHOOKS = Router(
    "/webhook-endpoints",
    route_handlers=[*ENDPOINT_ROUTES, *SECRET_ROUTES, *DELIVERY_ROUTES],
    tags=["webhooks"],
    opt={"scope": "webhooks"},
)
