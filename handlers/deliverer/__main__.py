"""Run a deliverer: doorbells of the webhooks queue in, POSTs out, until SIGTERM or SIGINT.

Several may run at once. It is a process of its own and no Lambda: a receiver may take 15 seconds
to answer, and a round begins every second.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from commands.users import person_of
from handlers.api.service import Service
from handlers.deliverer.announcing import Announcer
from handlers.deliverer.messages import Messages
from handlers.deliverer.metrics import Metrics
from handlers.deliverer.rounds import Rounds
from handlers.deliverer.visiting import Post, Visits
from handlers.polling import FAULT_SECONDS, consume, stop_on_signals
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment
from infra.webhooks import WebhookClient


class Deliverer(Struct, frozen=True):
    """The parts of one process."""

    announcer: Announcer
    visits: Visits
    rounds: Rounds
    metrics: Metrics


def build(
    application: Application,
    log: Any,
    closing: threading.Event | None = None,
    post: Post | None = None,
) -> Deliverer:
    """The deliverer of an application. Raises Invalid."""
    context, metrics = application.context, Metrics()
    visits = Visits(
        context,
        application.personal,
        application.operational_table,
        post or WebhookClient(application.webhook_guard).post,
        f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}",
        log,
        closing,
        metrics.attempted,
    )
    rounds = Rounds(application.turns.waiting, visits.pay, log)
    announcer = Announcer(
        application.reading.history,
        lambda user_id: person_of(context, user_id).state,
        Messages(Service(application)),
        application.deliveries,
        application.clock,
        log,
        rounds.wake,
    )
    return Deliverer(announcer, visits, rounds, metrics)


def main() -> None:
    """Until SIGTERM or SIGINT; the POSTs that are under way then come to their end."""
    settings = from_environment()
    log = configure("deliverer", settings.log_level)
    application = Application(settings, "deliverer")
    stop = stop_on_signals()
    deliverer = build(application, log, stop)
    if settings.metrics_port:
        deliverer.metrics.serve(settings.metrics_port, settings.metrics_host)
    queue, dead = application.queue("webhooks"), application.queue("webhooks_dlq")
    announcer = deliverer.announcer
    work = [
        partial(consume, queue, announcer, stop, settings.poll_seconds, log),
        partial(_every, settings.sweep_seconds, partial(announcer.answer_dead, dead), stop, log),
    ]
    if settings.journal is not None:
        work.append(partial(_once, announcer.catch_up, stop, log))
    for each in work:
        threading.Thread(target=each, daemon=True).start()
    log.info("started")
    deliverer.rounds.run(stop)
    log.info("stopped")


def _every(seconds: float, work: Callable[[], object], stop: threading.Event, log: Any) -> None:
    while not stop.is_set():
        try:
            work()
        except Exception:
            log.exception("not done, and tried again")
        stop.wait(seconds)


def _once(work: Callable[[], int], stop: threading.Event, log: Any) -> None:
    while not stop.is_set():
        try:
            log.info("caught up", deliveries=work())
        except Exception:
            log.exception("not done, and tried again")
            stop.wait(FAULT_SECONDS)
        else:
            return


if __name__ == "__main__":
    main()
