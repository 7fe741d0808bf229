"""The outermost layer of a stand-in: the log, and what every answer carries."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class Edge:
    """One log line for every request, without query and body; nothing is cached."""

    def __init__(self, app: ASGIApp, log: Any) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self._app(scope, receive, answering)
        # A log that cannot be written must not cost anybody their answer.
        with suppress(Exception):
            self._log.info(
                "request",
                method=scope.get("method"),
                path=scope["path"][:200],
                status=status,
                ms=round(1000 * (time.perf_counter() - begun), 1),
            )
