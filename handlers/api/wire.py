"""HTTP as it comes over the wire: uvicorn's, which waits for nobody for ever.

What never became a request (no HTTP, headers without an end) is refused by a problem document, too.
Behind a proxy nothing of this happens; without one, a client that sends a byte a minute must not
keep a connection.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from typing import Any

import h11
from litestar.types import Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

from handlers.api.problems import MEDIA_TYPE, RequestTimeout, unframed
from infra.clock import SystemClock, SystemIds

HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 15
BODY_SECONDS = 30
KEEP_ALIVE_SECONDS = 15
_TOO_LARGE = 431
_END = re.compile(rb"\n\r?\n")
_IDS = SystemIds(SystemClock())
_SAID = {
    400: "This is no HTTP/1.1 request.",
    408: f"The head of the request did not come within {HEADER_SECONDS} seconds.",
    _TOO_LARGE: f"The head of the request is larger than {HEADER_BYTES // 1024} KiB.",
}


class Wire(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.conn.their_state is h11.IDLE and self._is_flood(data):
            self._refuse(_TOO_LARGE)
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._await_head()
        else:
            self._stop_waiting()

    def _is_flood(self, data: bytes) -> bool:
        # h11 itself only counts what comes piecemeal.
        come = self.conn.trailing_data[0] + data
        return len(come) > HEADER_BYTES and not _END.search(come, 0, HEADER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn says the same of all
        """What uvicorn calls while it handles h11's error."""
        hint = getattr(sys.exception(), "error_status_hint", 400)
        self._refuse(_TOO_LARGE if hint == _TOO_LARGE else 400)

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.conn.our_state is h11.IDLE and self.conn.their_state is h11.IDLE:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        request_id = _IDS.fresh("req")
        body = unframed(status, _SAID[status], request_id)
        headers = [
            ("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))),
            ("X-Request-Id", request_id), ("Connection", "close"),
        ]  # fmt: skip
        answer = (
            h11.Response(status_code=status, headers=headers, reason=b""),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        # An answer may be under way already; then the connection just ends.
        with suppress(h11.LocalProtocolError):
            for event in answer:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


OPTIONS: dict[str, Any] = {
    "http": Wire,
    "ws": "none",
    "h11_max_incomplete_event_size": HEADER_BYTES,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
}
"""What uvicorn.Config is told."""


def hurried(receive: Receive) -> Receive:
    """The same, but a body has to be there within BODY_SECONDS. Raises RequestTimeout."""
    loop = asyncio.get_running_loop()
    deadline: float | None = loop.time() + BODY_SECONDS

    async def receiving() -> Any:
        nonlocal deadline
        if deadline is None:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message: Any = await receive()
        except TimeoutError:
            raise RequestTimeout(
                f"The body did not come within {BODY_SECONDS} seconds; send it again."
            ) from None
        if message["type"] != "http.request" or not message.get("more_body"):
            deadline = None
        return message

    return receiving
