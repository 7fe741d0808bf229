"""The Litestar application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.types import ControllerRouterHandler

from handlers.api import limits
from handlers.api.admin import ADMIN
from handlers.api.auth.key_set import key_set
from handlers.api.auth.routes import AUTH
from handlers.api.batches import begin_several, request_several
from handlers.api.capabilities import capabilities
from handlers.api.checkout import check_out
from handlers.api.credits import CREDITS
from handlers.api.edge import Edge
from handlers.api.events.hub import Hub
from handlers.api.events.routes import FEEDS
from handlers.api.health import healthz, readyz
from handlers.api.idempotency import HEADER, REPLAYED, Remembering, recall
from handlers.api.jobs import JOBS, QUOTES
from handlers.api.keys.routes import KEYS
from handlers.api.library import LIBRARY
from handlers.api.limits import admitted, counted
from handlers.api.me.routes import ME
from handlers.api.metrics import metrics
from handlers.api.openapi import SCHEME, configuration
from handlers.api.options import tell_all_methods
from handlers.api.packs import show_packs
from handlers.api.problems import on_error
from handlers.api.purchases import PURCHASES
from handlers.api.requests import ApiRequest, authenticated, require_scopes
from handlers.api.service import Service
from handlers.api.stripe_webhook import receive
from handlers.api.uploads import UPLOADS
from handlers.api.usage import usage
from handlers.api.webhooks import WEBHOOKS
from infra.bootstrap import Application

BODY_BYTES = 64 * 1024
EXPOSED = [
    "ETag", REPLAYED, "Location", *limits.HEADERS, "Retry-After", "WWW-Authenticate",
    "X-Request-Id",
]  # fmt: skip


def create_app(application: Application) -> Litestar:
    """The API over that application. Its parts are made when the lifespan begins.

    Raises Invalid when what is sold, or who signs people in, is not configured as it should be, and
    ImproperlyConfigured when a route does not say which API keys it takes.
    """
    _ = application.packs, application.openid
    service = Service(application)
    listeners = Hub(service)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with service.lifespan():
            yield
            listeners.end()

    app = Litestar(
        route_handlers=[healthz, readyz, metrics, key_set, _version_one()],
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "listeners": Provide(lambda: listeners, sync_to_thread=False),
        },
        request_class=ApiRequest,
        exception_handlers={Exception: on_error},
        cors_config=_cors(application.settings.allowed_origins),
        openapi_config=configuration(),
        request_max_body_size=BODY_BYTES,
        lifespan=[lifespan],
        logging_config=None,
        state=State({"service": service, "listeners": listeners}),
    )
    require_scopes(app)
    tell_all_methods(app)
    # Middleware of Litestar's does not see requests that no route takes.
    remembering = Remembering(app.asgi_handler, service)
    app.asgi_handler = Edge(remembering, lambda: application.ids.fresh("req"), service.traffic)
    return app


async def _welcome(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    # One guard instead of two: Litestar copies the route handler for each.
    await authenticated(connection, route)
    await admitted(connection, route)


def _version_one() -> Router:
    personal = Router(
        "/",
        route_handlers=[
            UPLOADS,
            LIBRARY,
            QUOTES,
            JOBS,
            FEEDS,
            CREDITS,
            usage,
            check_out,
            PURCHASES,
            begin_several,
            request_several,
            KEYS,
            ME,
            WEBHOOKS,
            ADMIN,
        ],
        guards=[_welcome],
        before_request=recall,
        security=[{SCHEME: []}],
    )
    public: list[ControllerRouterHandler] = [capabilities, show_packs, receive, AUTH]
    anonymous = Router("/", route_handlers=public, before_request=counted)
    return Router("/v1", route_handlers=[anonymous, personal])


def _cors(origins: str) -> CORSConfig:
    allowed = [o.strip() for o in origins.split(",") if o.strip()]
    return CORSConfig(
        allow_origins=allowed,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            HEADER,
            "If-None-Match",
            "Last-Event-ID",
            "Traceparent",
            "Tracestate",
            "X-Request-Id",
        ],
        # Cookies only where it is said whose pages may send them.
        allow_credentials=bool(allowed) and "*" not in allowed,
        expose_headers=EXPOSED,
        max_age=600,
    )
