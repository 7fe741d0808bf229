from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from handlers.worker import protection
from handlers.worker.protection import EXPIRES_MINUTES, Protection


class Agent(BaseHTTPRequestHandler):
    """The endpoint of the ECS agent, as its documentation has it."""

    told: list[tuple[str, dict[str, Any]]]
    refuse: bool

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append((self.path, body))
        self.send_response(500 if self.refuse else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Agent]]]:
    monkeypatch.setattr(protection, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(protection, "_FAULT_SECONDS", 0.01)
    kind = type("Told", (Agent,), {"told": [], "refuse": False})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/api/v1/", kind
    server.shutdown()
    server.server_close()


async def until(told: list[Any], count: int) -> None:
    for _ in range(500):
        if len(told) >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(told)


async def test_a_task_is_protected_while_it_works(agent: tuple[str, type[Agent]]) -> None:
    url, kind = agent
    busy = False
    watching = asyncio.create_task(Protection(url, lambda: busy, structlog.get_logger()).watch())
    await asyncio.sleep(0.1)
    assert kind.told == []  # what is idle from the beginning need not be told
    busy = True
    await until(kind.told, 1)
    busy = False
    await until(kind.told, 2)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    path = "/api/v1/task-protection/v1/state"
    assert kind.told == [
        (path, {"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES_MINUTES}),
        (path, {"ProtectionEnabled": False}),
    ]


async def test_it_is_renewed_while_a_long_song_runs(
    agent: tuple[str, type[Agent]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = agent
    monkeypatch.setattr(protection, "RENEW_SECONDS", 0.05)
    watching = asyncio.create_task(Protection(url, lambda: True, structlog.get_logger()).watch())
    await until(kind.told, 3)
    watching.cancel()
    assert all(body["ProtectionEnabled"] for _, body in kind.told)


async def test_an_agent_that_refuses_is_asked_again_and_ends_nothing(
    agent: tuple[str, type[Agent]],
) -> None:
    url, kind = agent
    kind.refuse = True
    watching = asyncio.create_task(Protection(url, lambda: True, structlog.get_logger()).watch())
    await until(kind.told, 2)
    kind.refuse = False
    seen = len(kind.told)
    await until(kind.told, seen + 1)
    assert not watching.done()
    watching.cancel()
