"""The outermost layer: a request id and a trace for each answer, a log line for each request."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Callable

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from handlers.api import limits, log
from handlers.api.problems import MEDIA_TYPE, last_resort, log_failure
from handlers.api.traffic import METHODS, Traffic
from handlers.api.wire import hurried
from infra import tracing

_CONNECTION = "connection"
# Nor does the kernel keep what it did not send: on, for no seconds.
_AT_ONCE = struct.pack("ii", 1, 0)
_GIVEN = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,100}")


class Edge:
    """Wraps the whole application, unknown routes and refused bodies included.

    Never logged: headers, query strings and bodies; they carry tokens and signed URLs.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str], traffic: Traffic) -> None:
        self._app = app
        self._new_id = new_id
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        method = scope.get("method", "")
        name = method if method in METHODS else "other"
        parent = tracing.valid(_headers(scope, b"traceparent"))
        with (
            self._traffic.under_way.track_inprogress(),
            tracing.stage(name, parent, tracing.SERVER, http_request_method=name) as stage,
        ):
            begun = time.perf_counter()
            try:
                await self._serve(scope, receive, send)
            finally:
                # 0: the client went away before there was an answer.
                status = scope["state"].get("status", 0)
                route = scope.get("path_template", "")
                self._traffic.ended(name, route, status, time.perf_counter() - begun)
                _log(scope, status, begun)
                stage.tell(
                    f"{name} {route}".strip(), failed=status >= 500,
                    http_route=route, http_response_status_code=status,
                )  # fmt: skip

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope) or self._new_id()
        scope["state"]["request_id"] = request_id
        scope["state"][_CONNECTION] = getattr(getattr(send, "__self__", None), "transport", None)

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["state"]["status"] = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers["X-Request-Id"] = request_id
                for name, text in limits.headers(scope).items():
                    headers[name] = text
                headers["X-Content-Type-Options"] = "nosniff"
                # Answers are personal, and signed URLs in them go stale.
                headers.setdefault("Cache-Control", "no-store")
                if "ETag" in headers:
                    # Kept by the browser, so it must know whose it is.
                    headers.extend_header_value("Vary", "Authorization")
            await send(message)

        try:
            await self._app(scope, hurried(receive), answering)
        except Exception as error:
            # Also what answers errors can fail; the server would say so in text/plain.
            if "status" in scope["state"] or scope["type"] != ScopeType.HTTP:
                raise
            log_failure(scope, error)
            await _answer(answering, 500, last_resort(scope))


def _headers(scope: Scope, wanted: bytes) -> str | None:
    """The header's text, if it came once."""
    found = [value for name, value in scope["headers"] if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else None


def cut_off(scope: Scope) -> None:
    """Drop the connection of a client that does not read, with what waits for it.

    ASGI has no word for that: an answer that is left unfinished is still flushed, if it takes for
    ever. So this goes by uvicorn's own connection; behind another server nothing happens.
    """
    connection = scope["state"].get(_CONNECTION)
    if isinstance(connection, asyncio.WriteTransport):
        own = connection.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connection.abort()


def _request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN.fullmatch(value):
            return str(value.decode())
    return None


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _log(scope: Scope, status: int, begun: float) -> None:
    log.info(
        "request",
        method=scope.get("method"),
        path=str(scope["path"])[:200],
        status=status,
        ms=round(1000 * (time.perf_counter() - begun), 1),
        request_id=scope["state"].get("request_id", ""),
        user_id=scope.get("user"),
    )
