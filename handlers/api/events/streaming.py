"""An answer that stays open: what a feed has to tell, until one of both sides ends it.

It ends when the feed is over, the token no longer holds, the client has gone, reads nothing or
has listened for long, or the server stops. Between two events there is a sign of life, so that
proxies keep the connection. What is not read stays in the connection's own buffers, which are
small; then nothing more is taken from the feed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import msgspec
from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from domain.errors import AccountErased, Forbidden, SplitSoundError, Unauthenticated
from handlers.api.edge import cut_off
from handlers.api.events import frames
from handlers.api.events.bodies import SignInAgain
from handlers.api.events.feeds import Feed
from handlers.api.events.hub import Hub
from handlers.api.requests import ApiRequest, caller_of

CHECK_SECONDS = 5.0
"""Between looks at the token, which may expire or be revoked meanwhile."""
HURRIED_SECONDS = 1.0
"""What a client that reads nothing has left once the server stops."""
RETRY_MS = (1000, 4000)
"""Clients come back within that time, not all of them at once."""
HEADERS = {
    "Content-Type": frames.MEDIA_TYPE + "; charset=utf-8",
    # No proxy may keep it, compress it or wait for more of it (X-Accel-Buffering: nginx).
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class EventStream(Response[str]):
    """The answer of a route handler. begin: makes the feed, once the answer begins."""

    def __init__(self, hub: Hub, request: ApiRequest, begin: Callable[[], Feed]) -> None:
        super().__init__("", headers=HEADERS)
        self._app = _Streaming(hub, request, begin)

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        """Nothing that Litestar would render: events are sent as they come."""
        return self._app


class _Streaming:
    def __init__(self, hub: Hub, request: ApiRequest, begin: Callable[[], Feed]) -> None:
        self._hub = hub
        self._request = request
        self._begin = begin
        self._settings = hub.service.application.settings
        self._ending = False
        self._limit: asyncio.Timeout | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises TooManyStreams, or Invalid for a cursor that is none, before anything is sent."""
        user_id = self._request.user
        self._hub.slots.take(user_id)
        try:
            self._feed = self._begin()
            try:
                await self._serve(scope, receive, send)
            finally:
                self._hub.leave(self._feed)
        finally:
            self._hub.slots.free(user_id)

    def end(self) -> None:
        """Soon, and sooner than a client that reads nothing would allow."""
        self._ending = True
        self._feed.changed.set()
        if self._limit:
            self._limit.reschedule(asyncio.get_running_loop().time() + HURRIED_SECONDS)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        watching = asyncio.create_task(self._watch(receive))
        self._hub.streams.add(self)
        try:
            async for chunk in self._chunks():
                await self._send(send, chunk)
            await self._send(send, b"", more=False)
        except TimeoutError:
            cut_off(scope)
            with suppress(TimeoutError):
                async with asyncio.timeout(HURRIED_SECONDS):
                    await watching
        finally:
            self._hub.streams.discard(self)
            watching.cancel()

    async def _send(self, send: Send, chunk: bytes, *, more: bool = True) -> None:
        seconds = HURRIED_SECONDS if self._ending else self._settings.sse_stall_seconds
        async with asyncio.timeout(seconds) as self._limit:
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
        self._limit = None

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._ending = True
        self._feed.changed.set()

    async def _chunks(self) -> AsyncIterator[bytes]:
        feed, settings = self._feed, self._settings
        yield frames.retry(random.randint(*RETRY_MS))  # noqa: S311 - nothing hangs on it
        check = min(CHECK_SECONDS, settings.sse_ping_seconds)
        sent = checked = time.monotonic()
        ends = sent + settings.sse_longest_seconds * random.uniform(0.9, 1.1)  # noqa: S311
        while not self._ending and (now := time.monotonic()) < ends:
            if now >= checked + check:
                if refusal := await self._refusal():
                    yield frames.event("sign_in_again", refusal)
                    return
                checked = now
            feed.changed.clear()
            if told := feed.take():
                sent = now
                yield told
            elif now >= sent + settings.sse_ping_seconds:
                sent = now
                yield frames.PING
            if feed.over:
                return
            if feed.due():
                continue
            until = min(sent + settings.sse_ping_seconds, checked + check, ends)
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    await feed.changed.wait()

    async def _refusal(self) -> bytes:
        """The last event's data where the token does not hold any more."""
        _, _, token = self._request.headers["Authorization"].partition(" ")
        try:
            await self._hub.service.run(caller_of, self._hub.service, token.strip())
        except (Unauthenticated, Forbidden, AccountErased) as error:
            return msgspec.json.encode(SignInAgain(error.code, error.detail))
        except SplitSoundError:
            # Nobody can say now; asked again in a moment.
            return b""
        return b""
