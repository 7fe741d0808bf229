"""Serve the API: ``python -m handlers.api [HOST] [PORT]``.

Host and port also come from SPLITSOUND_API_HOST and SPLITSOUND_API_PORT.
"""

from __future__ import annotations

import os
import signal
import sys

import uvicorn

from handlers.api import create_app, log, wire
from handlers.api.serving import Server
from infra import tracing
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import Settings, from_environment

# Longer than any request of ours takes; a connection that is still open then is cut.
GRACE_SECONDS = 10


def serve(host: str, port: int) -> None:
    """Until SIGTERM or SIGINT; requests in flight are answered first."""
    settings = from_environment()
    configure("api", settings.log_level)
    config = configuration(settings, Application(settings, "api"), host, port)
    # uvicorn raises the signal again when it is done; a clean stop should exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    log.info("starting", host=host, port=port)
    with tracing.exporting("api"):
        Server(config).run()
    log.info("stopped")


def configuration(
    settings: Settings, application: Application, host: str, port: int
) -> uvicorn.Config:
    """How uvicorn serves it."""
    return uvicorn.Config(
        create_app(application),
        host=host,
        port=port,
        lifespan="on",
        access_log=False,
        # Left alone, uvicorn believes whoever connects from this machine.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        **wire.OPTIONS,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def main(arguments: list[str]) -> None:
    """Arguments win over the environment."""
    host = os.environ.get("SPLITSOUND_API_HOST", "127.0.0.1")
    port = os.environ.get("SPLITSOUND_API_PORT", "8000")
    host, port = [*arguments, *(host, port)[len(arguments) :]][:2]
    serve(host, int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
