"""Ask the API in this container whether it lives; the exit status tells: ``python -m ...alive``."""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 4.0


def alive(port: int) -> bool:
    """Whether ``/healthz`` answers 200 on the loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if alive(int(os.environ.get("SPLITSOUND_API_PORT", "8000"))) else 1)
