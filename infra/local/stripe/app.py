"""The Litestar application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any

import structlog
from litestar import Litestar, Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException

from infra.local.edge import Edge
from infra.local.guard import Guard
from infra.local.stripe import api
from infra.local.stripe.answering import Asked, Counter, TheDesk
from infra.local.stripe.checkout import pay_page, result_page, submit
from infra.local.stripe.dashboard import act, dashboard
from infra.local.stripe.desk import Desk, Place, new_id
from infra.local.stripe.errors import Refused
from infra.local.stripe.pages import result
from infra.local.stripe.store import Store
from infra.local.stripe.webhooks import Postman

BODY_BYTES = 256 * 1024
FILE = "payments.sqlite3"

_log = structlog.get_logger(component="payments")


@get("/healthz", sync_to_thread=True)
def healthz(desk: TheDesk) -> dict[str, str]:
    """Whether it serves and its file can be read."""
    with desk.store.transaction():
        return {"status": "ok"}


def create_app(data: Path, place: Place, key: str, secret: str) -> Litestar:
    """The stand-in with its state in ``data``. key: of the API; secret: signs the webhooks."""
    desk = Desk(Store(data / FILE), place)
    counter = Counter(desk, key)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        delivering = asyncio.create_task(Postman(desk, secret).run())
        yield
        delivering.cancel()
        with suppress(asyncio.CancelledError):
            await delivering
        desk.store.close()

    # In a router: Litestar registers handlers that share a path twice when they are the
    # application's own, and then never awaits the thread that a synchronous one runs in.
    pages = Router("/", route_handlers=[pay_page, submit, result_page, dashboard, act])
    app = Litestar(
        route_handlers=[healthz, api.router(), pages],
        dependencies={
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "counter": Provide(lambda: counter, sync_to_thread=False),
        },
        exception_handlers={Exception: _on_error},
        request_max_body_size=BODY_BYTES,
        openapi_config=None,
        lifespan=[lifespan],
        logging_config=None,
    )
    app.asgi_handler = Guard(Edge(app.asgi_handler, _log), "The stand-in for Stripe")
    return app


def _on_error(request: Asked, error: Exception) -> Response[Any]:
    """Stripe's error object for programs, a page for people."""
    refused = _as_refused(request, error)
    asked = request.headers.get("Accept", "")
    if request.url.path.startswith("/v1/") or asked == "application/json":
        return Response(
            refused.answer(), status_code=refused.status, headers={"Request-Id": new_id("req_")}
        )
    link = '<a href="/">To the dashboard</a>'
    referrer = request.headers.get("Referer", "")
    if referrer.startswith(f"{request.base_url}c/pay/"):
        link = f'<a href="{escape(referrer)}">Back</a>'
    return result("That did not work", str(refused), "bad", link, status=refused.status)


def _as_refused(request: Asked, error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException) and error.status_code < 500:
        what = f"({request.method}: {request.url.path[:100]})"
        said = {
            404: f"Unrecognized request URL {what}. The local stand-in knows a part of Stripe's.",
            405: f"Unrecognized method {what}.",
            413: "The request is too long.",
        }
        return Refused(
            said.get(error.status_code, str(error.detail)[:200]), status=error.status_code
        )
    _log.error("request failed", path=request.url.path[:200], exc_info=error)
    return Refused("An error occurred in the stand-in.", status=500, error_type="api_error")
