"""Only this machine's own pages and programs are served.

A browser carries requests of any web page to the loopback. So the host must be the loopback's
(a page whose own name is rebound to 127.0.0.1 says another), and what posts a form must be a page
of ours, or no browser at all.
"""

from __future__ import annotations

import re

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?", re.IGNORECASE)
_READING = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"", "same-origin", "none"})


class Guard:
    """Wraps a stand-in; refused requests never reach it. who: the stand-in, for people."""

    def __init__(self, app: ASGIApp, who: str) -> None:
        self._app = app
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 403."""
        if scope["type"] == ScopeType.HTTP and (reason := refusal(scope, self._who)):
            body = reason.encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
            ]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        await self._app(scope, receive, send)


def refusal(scope: Scope, who: str) -> str:
    """Why a request is refused, or nothing when it may pass."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    hosts = headers.get("host", [])
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return f"{who} answers to names of the loopback only.\n"
    if scope.get("method") in _READING:
        return ""
    foreign = any(one.lower() != f"http://{hosts[0].lower()}" for one in headers.get("origin", []))
    sites = headers.get("sec-fetch-site", [""])
    if foreign or not _OWN_SITES.issuperset(sites):
        return f"Another page sent this form. {who} takes forms of its own pages only.\n"
    return ""
