"""Units are counted as DynamoDB bills them, and a rate is kept to."""

from __future__ import annotations

import threading
import time

import pytest

from handlers.operating.rebuilding import paced
from infra.bootstrap import Application
from infra.metering import Meter
from infra.pacing import Pace
from projections.ports import HEAD, Row


class Watch:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.time = 0.0

    def wait(self, seconds: float) -> None:
        self.time += seconds


def test_whoever_is_ahead_of_the_rate_waits() -> None:
    watch = Watch()
    pace = Pace(reads=10, writes=5, timer=lambda: watch.time, pause=watch.wait)
    for _ in range(20):
        pace.spend(reads=1)
    assert watch.time == pytest.approx(2.0)
    for _ in range(20):
        pace.spend(writes=1)
    assert watch.time == pytest.approx(6.0)
    watch.time += 100  # what was not spent is not saved up
    pace.spend(writes=5)
    assert watch.time == pytest.approx(107.0)
    assert (pace.spent.reads, pace.spent.writes) == (20, 25)


def test_reads_do_not_wait_for_writers_nor_writes_for_readers() -> None:
    waits: list[float] = []
    pace = Pace(reads=10, writes=5, timer=lambda: 0.0, pause=waits.append)
    pace.spend(writes=50)
    pace.spend(reads=1)
    pace.spend(writes=5)
    pace.spend(reads=1, writes=5)
    assert waits == pytest.approx([10, 0.1, 11, 12])
    pace.spend()
    assert len(waits) == 4, "who spent nothing owes nothing"


def test_a_release_ends_every_wait_and_all_pacing() -> None:
    pace = Pace(writes=1)
    waiters = [threading.Thread(target=lambda: pace.spend(writes=60)) for _ in range(4)]
    for waiter in waiters:
        waiter.start()
    waiters[0].join(0.2)
    assert all(w.is_alive() for w in waiters)
    began = time.monotonic()
    pace.release()
    for waiter in waiters:
        waiter.join(5)
    pace.spend(writes=60)
    assert time.monotonic() - began < 2
    assert pace.spent.writes == 300, "it is counted all the same"


def test_without_a_rate_nobody_waits() -> None:
    watch = Watch()
    Pace(timer=lambda: watch.time, pause=watch.wait).spend(reads=1e9, writes=1e9)
    assert watch.time == 0


def row(number: int, body: str = "{}", **index: str | None) -> Row:
    given = {"owner": "usr", "sort": str(number), "status": "queued"} | index
    return Row(generation="jobs@7", stream=f"job-{number}", key=HEAD, version=1, body=body, **given)  # type: ignore[arg-type]


def test_units_are_those_of_the_meter(application: Application) -> None:
    """Each call of the rows beside the same call of a metered low-level client."""
    pace = Pace()
    rows = paced(application, pace).rows
    table = application.settings.read_models_table
    meter = Meter(application.client("dynamodb"))

    def spent() -> tuple[float, float]:
        units = pace.spent.reads, pace.spent.writes
        pace.spent.reads = pace.spent.writes = 0
        return units

    # 1 KB in the table and in each of two indexes; 3 KB in the table and in one.
    assert rows.write(row(1), [], 0)
    assert spent() == (0, 3)
    assert rows.write(row(2, "x" * 2500, status=None), [], 0)
    assert spent() == (0, 6)
    assert not rows.write(row(2), [], 0)
    assert spent() == (0, 3)  # a failed condition is billed

    rows.head("jobs@7", "job-2")
    rows.head("jobs@7", "job-3")
    assert spent() == (2, 0)
    meter.get_item(
        TableName=table,
        Key={"pk": {"S": "jobs@7#job-2"}, "sk": {"S": HEAD}},
        ConsistentRead=True,
    )
    assert meter.totals().reads == 1
    rows.heads("jobs@7", ["job-1", "job-2", "job-3"])
    assert spent() == (3, 0)
    assert len(list(rows.scan("jobs@7"))) == 2
    meter.reset()
    meter.scan(TableName=table)
    assert spent() == (meter.totals().reads, 0)


def test_the_events_are_metered_too(application: Application) -> None:
    pace = Pace()
    assert list(paced(application, pace).history.scan()) == []
    assert pace.spent.reads == 0.5
