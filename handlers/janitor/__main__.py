"""Run the janitor on the local stack: what is woken by commits, and looks at set times."""

from __future__ import annotations

import threading

from handlers.janitor import Purging
from handlers.janitor.erasing import Erasing
from handlers.janitor.tidying import Tidying
from handlers.operating.tidying import media_bucket
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment

PURGE_SECONDS = 600


def build_erasing(application: Application, log: object) -> Erasing:
    """What forgets the people of an application."""
    return Erasing(
        application.context,
        application.operating,
        media_bucket(application),
        application.operational_table,
        application.parked,
        application.personal,
        1000 * application.settings.erasure_settle_seconds,
        log,
    )


def build_purging(application: Application, log: object) -> Purging:
    """What deletes an application's media whose time is over."""
    bucket = media_bucket(application)
    return Purging(application.context, application.reading, bucket, log)


def build_tidying(application: Application, log: object) -> Tidying:
    """What keeps an application's storage tidy."""
    bucket = media_bucket(application)
    return Tidying(application.context, application.reading, application.operations, bucket, log)


def main() -> None:
    """Until SIGTERM or SIGINT."""
    from handlers.polling import consume, every, stop_on_signals  # which a function has no use for

    settings = from_environment()
    log = configure("janitor", settings.log_level)
    application = Application(settings, "janitor")
    erasing, purging = build_erasing(application, log), build_purging(application, log)
    tidying = build_tidying(application, log)
    stop = stop_on_signals()
    log.info("started")
    soon = max(1, min(settings.sweep_seconds, settings.erasure_settle_seconds))
    # In threads of their own: one of them may fail or take long, and none waits for another.
    for seconds, work in (
        (soon, erasing.once),
        (PURGE_SECONDS, purging.once),
        (settings.sweep_seconds, tidying.once),
        (settings.sweep_seconds, tidying.nightly),
    ):
        threading.Thread(target=every, args=(seconds, work, stop, log), daemon=True).start()
    consume(application.queue("janitor"), erasing, stop, settings.poll_seconds, log)
    log.info("stopped")


if __name__ == "__main__":
    main()
