"""ministack behind a guard that keeps web pages away from it.

Run as ``python -P guarded_emulator.py`` by the emulator's own Python; see ``emulator.Emulator``.
A browser carries requests of any web page to the loopback. ministack takes its administration
without credentials, ``POST /_ministack/reset`` above all, which wipes every file and which a page
may send without asking first; and a page whose own name is rebound to 127.0.0.1 could read the
answers too. The rest needs a signature, which no page can make, and passes untouched.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/_ministack/health"
_ADMINISTRATION = ("/_ministack/", "/_localstack/")
# Names below localhost are virtual-hosted buckets; they are the loopback's too (RFC 6761).
_LOOPBACK = re.compile(
    rb"(127\.0\.0\.1|\[::1\]|([a-z0-9.-]+\.)?localhost)(:[0-9]+)?", re.IGNORECASE
)


def guarded(app: App) -> App:
    """``app``, which hears only of requests that are not refused."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not (reason := refusal(scope)):
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            body = reason.encode()
            length = str(len(body)).encode()
            headers = [(b"content-type", b"text/plain"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return guard


def refusal(scope: Scope) -> str:
    """Why a request is refused, or nothing when it may pass."""
    hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return "The emulator answers to names of the loopback only.\n"
    path = scope["path"]
    if path.startswith(_ADMINISTRATION) and path != HEALTH:
        return "The emulator's administration is closed: any web page could ask for it.\n"
    return ""


def main() -> None:
    """Serve ministack as ``python -m ministack`` does, behind the guard."""
    ministack: Any = importlib.import_module("ministack.app")
    # What ministack's own main serves is what it finds under this name.
    ministack.app = guarded(ministack.app)
    ministack.main()


if __name__ == "__main__":
    main()
