"""Run the sweeper every minute on the local stack; the first sweep wakes what was waiting."""

from __future__ import annotations

from handlers.polling import stop_on_signals
from handlers.sweeper import Sweeper, Work
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment


def build(application: Application, log: object) -> Sweeper:
    """The sweeper of an application."""
    settings = application.settings
    return Sweeper(
        application.context,
        application.reading,
        application.operations,
        Work(application.queue("separation"), application.queue("separation_dlq")),
        Work(application.queue("probe"), application.queue("probe_dlq")),
        1000 * max(settings.sweep_seconds, settings.stale_seconds),
        log,
    )


def main() -> None:
    """Until SIGTERM or SIGINT."""
    settings = from_environment()
    log = configure("sweeper", settings.log_level)
    sweeper = build(Application(settings, "sweeper"), log)
    stop = stop_on_signals()
    log.info("started")
    grace: int | None = 0
    while not stop.is_set():
        try:
            sweeper.sweep(grace)
            grace = None
        except Exception:
            # The next round tries again; a sweeper that died would heal nothing.
            log.exception("sweep failed")
        stop.wait(settings.sweep_seconds)
    log.info("stopped")


if __name__ == "__main__":
    main()
