"""Run the sweeper on the local stack; the first sweep wakes what was waiting."""

from __future__ import annotations

import threading

import projections
from handlers.sweeper import Sweeper, Work
from handlers.sweeper.healing import Healing
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment
from infra.stage import LANE_QUEUES


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


def main() -> None:
    """Until SIGTERM or SIGINT."""
    from handlers.polling import every, stop_on_signals  # which a function has no use for

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
        round_ = (settings.pulse_seconds, work, stop, log)
        threading.Thread(target=every, args=round_, daemon=True).start()
    grace: int | None = 0

    def sweep() -> None:
        nonlocal grace
        sweeper.sweep(grace)
        grace = None

    every(settings.sweep_seconds, sweep, stop, log)
    log.info("stopped")


if __name__ == "__main__":
    main()
