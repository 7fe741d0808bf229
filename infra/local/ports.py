"""Ports of the loopback: free ones, and who answers there."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress
from pathlib import Path

from infra.local.errors import PortInUse

HOST = "127.0.0.1"


def free_port(port: int | None, preferred: int | None = None) -> int:
    """``port`` if nobody listens there, else PortInUse; for None ``preferred`` or any free one."""
    if port is not None:
        if not _claimable(port):
            raise PortInUse(
                f"Port {port} on {HOST} is in use: stop what listens there, or choose another "
                "one with --port."
            )
        return port
    if preferred is not None and _claimable(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        chosen: int = probe.getsockname()[1]
        return chosen


def kept_port(file: Path) -> int:
    """The port that ``file`` remembers if nobody else is there now, so that links stay good; else
    a free one, remembered for the next time.
    """
    last = None
    with suppress(OSError, ValueError):
        last = int(file.read_text())
    port = free_port(None, preferred=last)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(f"{port}\n")
    return port


def _claimable(port: int) -> bool:
    with socket.socket() as probe:
        # As a server does, else connections that are still closing would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def is_ready(port: int, path: str = "/readyz") -> bool:
    """Whether what listens on that port says that it is ready."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
