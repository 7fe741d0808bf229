"""The HTTP server, which ends event streams before it waits for answers that are under way."""

from __future__ import annotations

import socket

import uvicorn

from handlers.api.events.hub import Hub


class Server(uvicorn.Server):
    """uvicorn tells the application that it stops only once every answer is given, and an event
    stream would never be.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, without waiting for listeners."""
        hub: Hub = self.config.app.state.listeners  # type: ignore[union-attr]
        hub.end()
        await super().shutdown(sockets)
