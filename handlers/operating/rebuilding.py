"""Put a rebuild together: who does it, at which pace, and what it costs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from domain.controls import of_projection
from domain.errors import Refused
from infra.bootstrap import Application
from infra.event_store.dynamodb import DynamoDBStore
from infra.metering import Meter
from infra.operations.generations import SETTLE_SECONDS
from infra.pacing import Pace, PacedRows
from projections.catch_up import Reading
from projections.leveling import noted
from projections.projection import Projection
from projections.rebuild import Progress, Rebuild

SEGMENTS, WORKERS = 32, 8


def paced(application: Application, pace: Pace) -> Reading:
    """The application's reading, counted and held to that pace."""
    history, rows = paced_store(application, pace), PacedRows(application.rows, pace)
    return Reading(history, rows, application.operating.generations)


def paced_store(application: Application, pace: Pace) -> DynamoDBStore:
    """The application's event store, counted and held to that pace."""
    client = Meter(application.client("dynamodb"), spent=pace.spend)
    return DynamoDBStore(client, application.settings.events_table, application.clock)


def assemble(
    application: Application,
    projection: Projection[Any],
    pace: Pace,
    progress: Callable[[Progress], None],
    *,
    segments: int = SEGMENTS,
    workers: int = WORKERS,
) -> Rebuild:
    """A rebuild by this process. Raises Refused while the projection is paused.

    What a paused projection is spared would be missing in the new generation.
    """
    subject = of_projection(projection.name)
    if subject in application.switchboard.state().paused:
        raise Refused(
            f"{projection.name} is paused; a rebuild needs the projector. Resume it first: a "
            "rebuild does not touch the rows that are being read."
        )
    noted(projection, application.operating)
    now = application.clock.now
    return Rebuild(
        projection,
        paced(application, pace),
        owner(),
        now,
        settle,
        None,
        has_ended,
        lambda stuck: application.parked.park_stuck(stuck, now()),
        progress,
        segments,
        workers,
        stopped=pace.release,
    )


def settle() -> None:
    """Wait until no process goes by an older catalogue."""
    time.sleep(SETTLE_SECONDS)


def owner() -> str:
    """This process, as the catalogue names it."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


def has_ended(other: str) -> bool:
    """Whether that owner is a process of this machine that is no more."""
    host, pid, *_ = [*other.split(":"), "", ""]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
