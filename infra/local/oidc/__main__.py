"""Serve the local OpenID provider: ``python -m infra.local.oidc --keys DIR --port N``.

``splitsound up`` does it. Loopback only; the log has no bodies, queries and addresses.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import structlog
import uvicorn

from infra.local.oidc.app import create_app
from infra.local.oidc.secrets import Secrets
from infra.local.ports import HOST
from infra.logs import configure

_GRACE_SECONDS = 5

_log = structlog.get_logger(component="identity")


def main(arguments: list[str]) -> None:
    """Until SIGTERM or SIGINT; requests in flight are answered first."""
    asked = _parser().parse_args(arguments)
    configure("identity", asked.log_level)
    config = uvicorn.Config(
        create_app(f"http://{HOST}:{asked.port}", Secrets.of(asked.keys)),
        host=HOST,
        port=asked.port,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # uvicorn raises the signal again when it is done; a clean stop should exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _log.info("starting", host=HOST, port=asked.port)
    uvicorn.Server(config).run()
    _log.info("stopped")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local.oidc", description=__doc__)
    parser.add_argument("--keys", type=Path, required=True, help="where its two secrets are")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log-level", default="info")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
