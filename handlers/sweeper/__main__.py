"""Run the sweeper on the local stack; the first sweep wakes what was waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import projections
from handlers.operating.tidying import media_bucket
from handlers.polling import stop_on_signals
from handlers.sweeper import Sweeper, Work
from handlers.sweeper.healing import Healing
from handlers.sweeper.tidying import Tidying
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import LANE_QUEUES, from_environment


def build(application: Application, log: object) -> Sweeper:
    """The sweeper of an application."""
    settings = application.settings
    return Sweeper(
        application.context,
        application.reading,
        application.operations,
        Work({n: application.queue(n) for n in LANE_QUEUES}, application.queue("separation_dlq")),
        Work({"": application.queue("probe")}, application.queue("probe_dlq")),
        1000 * max(settings.sweep_seconds, settings.stale_seconds),
        1000 * settings.stale_seconds,
        log,
    )


def build_healing(application: Application, log: object) -> Healing:
    """What heals the rows of an application."""
    return Healing(
        projections.ALL,
        application.operating,
        application.parked,
        application.switchboard,
        application.operations,
        application.queue("projections"),
        application.queue("projections_dlq"),
        application.clock,
        log,
    )


def build_tidying(application: Application, log: object) -> Tidying:
    """What keeps an application's storage tidy."""
    bucket = media_bucket(application)
    return Tidying(application.context, application.reading, application.operations, bucket, log)


def main() -> None:
    """Until SIGTERM or SIGINT."""
    settings = from_environment()
    log = configure("sweeper", settings.log_level)
    application = Application(settings, "sweeper")
    sweeper, healing = build(application, log), build_healing(application, log)
    stop = stop_on_signals()
    log.info("started")
    # In threads of their own: a night's sweep takes long, one of them may fail, and neither
    # waiting work nor the projector's pulse may wait for that.
    soon = (healing.pulse, healing.answer_dead, healing.resumed, healing.flipped, healing.nightly)
    for work in soon:
        every = (settings.pulse_seconds, work, stop, log)
        threading.Thread(target=_every, args=every, daemon=True).start()
    tidying = build_tidying(application, log)
    for keep in (tidying.once, tidying.nightly):
        often = (settings.sweep_seconds, keep, stop, log)
        threading.Thread(target=_every, args=often, daemon=True).start()
    grace: int | None = 0

    def sweep() -> None:
        nonlocal grace
        sweeper.sweep(grace)
        grace = None

    _every(settings.sweep_seconds, sweep, stop, log)
    log.info("stopped")


def _every(seconds: float, work: Callable[[], object], stop: threading.Event, log: Any) -> None:
    while not stop.is_set():
        begun = time.monotonic()
        try:
            work()
        except Exception:
            # The next round tries again; a sweeper that died would heal nothing.
            log.exception("sweep failed")
        stop.wait(max(0.0, seconds - (time.monotonic() - begun)))


if __name__ == "__main__":
    main()
