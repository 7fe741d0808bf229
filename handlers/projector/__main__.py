"""Run the projector on the local stack's queue."""

from __future__ import annotations

import projections
from handlers.polling import consume, stop_on_signals
from handlers.projector import Projector
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment


def main() -> None:
    """Until SIGTERM or SIGINT."""
    settings = from_environment()
    log = configure("projector", settings.log_level)
    application = Application(settings, "projector")
    projector = Projector(projections.ALL, application.reading, log)
    stop = stop_on_signals()
    log.info("started")
    consume(application.queue("projections"), projector, stop, settings.poll_seconds, log)
    log.info("stopped")


if __name__ == "__main__":
    main()
