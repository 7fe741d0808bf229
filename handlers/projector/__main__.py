"""Run the projector on the local stack's queue."""

from __future__ import annotations

import os
import socket
from typing import Any

import projections
from handlers.projector import Projector
from handlers.projector.vitals import Vitals
from infra import tracing
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment


def build(application: Application, log: Any) -> Projector:
    """The projector of an application."""
    process = f"{socket.gethostname()}:{os.getpid()}"
    clock = application.clock
    return Projector(
        projections.ALL,
        application.reading,
        application.parked,
        application.switchboard,
        Vitals(process, application.pulses, clock),
        clock,
        log,
    )


def main() -> None:
    """Until SIGTERM or SIGINT."""
    from handlers.polling import consume, stop_on_signals  # which a function has no use for

    settings = from_environment()
    log = configure("projector", settings.log_level)
    application = Application(settings, "projector")
    projector = build(application, log)
    stop = stop_on_signals()
    log.info("started")
    with tracing.exporting("projector"):
        consume(application.queue("projections"), projector, stop, settings.poll_seconds, log)
    log.info("stopped")


if __name__ == "__main__":
    main()
