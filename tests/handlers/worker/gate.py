"""A door before the object store: requests hang, crawl, are refused, or set something off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from msgspec import Struct

CRAWL_BYTES, CRAWL_SECONDS = 512, 0.2
_ANSWER = (
    "HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n"
    "Connection: close\r\n\r\n{body}"
)


class Rule(Struct):
    """For requests whose first line begins with ``method`` and contains ``part``.

    action: ``hang``, ``crawl``, ``refuse`` or ``cut`` (the answer, half-way); nothing lets it
    through. code: what is answered.
    times: how often it holds. first: called when such a request comes, in a thread.
    """

    method: str
    part: str
    action: str = ""
    code: str = "SlowDown"
    times: int = 10**9
    first: Callable[[], object] | None = None


class Gate:
    """endpoint: the store's. ``async with``; then ``url`` is its door."""

    def __init__(self, endpoint: str) -> None:
        self._store = urlsplit(endpoint)
        self.url = ""
        self.rules: list[Rule] = []
        self.reached = asyncio.Event()

    async def __aenter__(self) -> Gate:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _rule(self, line: str) -> Rule:
        for rule in self.rules:
            if rule.times and line.startswith(rule.method + " ") and rule.part in line:
                rule.times -= 1
                return rule
        return Rule("", "")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, on = await asyncio.open_connection(self._store.hostname, self._store.port)
        back = asyncio.create_task(_pump(there, writer))
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                rule = self._rule(data.split(b"\r\n", 1)[0].decode("latin-1"))
                if rule.first:
                    await asyncio.to_thread(rule.first)
                if rule.action or rule.first:
                    self.reached.set()
                if rule.action == "refuse":
                    writer.write(_refusal(rule.code))
                    break
                if rule.action == "cut":
                    back.cancel()
                    await asyncio.wait((back,))
                    on.write(data)
                    writer.write(await there.read(1 << 12))
                    break
                if rule.action == "hang":
                    await reader.read()  # until the other side has had enough
                    break
                await _send(on, data, crawl=rule.action == "crawl")
        back.cancel()
        for each in (writer, on):
            each.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


async def _send(writer: asyncio.StreamWriter, data: bytes, *, crawl: bool) -> None:
    step = CRAWL_BYTES if crawl else len(data)
    for at in range(0, len(data), step):
        writer.write(data[at : at + step])
        await writer.drain()
        if crawl:
            await asyncio.sleep(CRAWL_SECONDS)


def _refusal(code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>Not now.</Message></Error>"
    status = 403 if code == "AccessDenied" else 503
    return _ANSWER.format(status=status, length=len(body), body=body).encode()
