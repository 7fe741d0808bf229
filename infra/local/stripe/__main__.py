"""Serve the stand-in for Stripe: ``python -m infra.local.stripe --data DIR --keys DIR --port N``.

``splitsound up`` does it. Loopback only; the log has no bodies.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import structlog
import uvicorn

from infra.local.stripe.app import create_app
from infra.local.stripe.desk import Place
from infra.local.stripe.secrets import Secrets
from infra.logs import configure

HOST = "127.0.0.1"
_GRACE_SECONDS = 5

_log = structlog.get_logger(component="payments")


def main(arguments: list[str]) -> None:
    """Until SIGTERM or SIGINT; requests in flight are answered first."""
    asked = _parser().parse_args(arguments)
    configure("payments", asked.log_level)
    secrets = Secrets.of(asked.keys)
    place = Place(f"http://{HOST}:{asked.port}", asked.webhook, asked.settle_seconds)
    config = uvicorn.Config(
        create_app(asked.data, place, secrets.api_key, secrets.webhook_secret),
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
    _log.info("starting", host=HOST, port=asked.port, webhook=asked.webhook)
    uvicorn.Server(config).run()
    _log.info("stopped")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local.stripe", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where its state is kept")
    parser.add_argument("--keys", type=Path, required=True, help="where its two secrets are")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhook", default="", help="the URL that events are posted to")
    parser.add_argument(
        "--settle-seconds", type=float, default=10.0, help="how long a bank payment takes"
    )
    parser.add_argument("--log-level", default="info")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
