"""A relay that was down too long: what was committed meanwhile rings again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from commands import StartSeparation
from domain.commit import Commit
from handlers.operating.republishing import Republishing, Wanted
from handlers.projector.__main__ import build
from infra.bootstrap import Application
from infra.clock import stamp
from infra.queue import Queue
from projections.doorbell import Doorbell, parse
from tests.handlers.cli.operators import WHY, Done, do, some_work, splitsound

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    """Work whose every message was lost: no relay runs here."""
    some_work(application, 2)
    return lambda *arguments: splitsound(capsys, *arguments)


def rung(queue: Queue) -> set[str]:
    """The streams whose doorbells come through the queue."""
    streams: set[str] = set()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        messages = queue.receive(10, wait=1)
        if not messages and streams:
            break
        streams |= {parse(m.body).stream for m in messages}
        queue.delete_all(messages)
    return streams


def test_lost_messages_ring_again(shell: Shell, application: Application) -> None:
    counted = shell("events", "republish", "--since", "1h", "--dry-run")
    assert counted.code == 0
    assert "nothing was published" in counted.out
    assert application.queue("short").depth() == 0
    done = shell("events", "republish", "--since", "1h", *WHY, "--category", "job")
    assert done.code == 0
    assert "Found       2 commits of 2 streams" in done.out
    assert "Published   2 doorbells" in done.out
    assert rung(application.queue("short")) == {"job-job_0", "job-job_1"}
    nothing = shell("events", "republish", "--since", "1d", "--until", "1h", "--json", *WHY).data
    assert (nothing["commits"], nothing["published"], nothing["refused"]) == (0, 0, [])
    told = " ".join(shell("events", "republish", "--help").out.split())
    assert "a worker that gets a doorbell for finished work just acknowledges it" in told


def test_a_row_whose_last_message_was_lost_follows_again(
    shell: Shell, application: Application
) -> None:
    do(application, StartSeparation("job_1", "host:1:a"))
    assert _version(application) == 1
    assert shell("events", "republish", "--since", "1h", *WHY).code == 0
    projector, queue = build(application, structlog.get_logger()), application.queue("projections")
    deadline = time.monotonic() + 10
    while _version(application) == 1:
        assert time.monotonic() < deadline
        records = [{"messageId": m.id, "body": m.body} for m in queue.receive(10, wait=1)]
        assert projector({"Records": records}) == {"batchItemFailures": []}
    assert _version(application) == 2


def _version(application: Application) -> int:
    row = application.rows.head("jobs@1", "job-job_1")
    assert row is not None
    return row.version


def test_times_and_categories_are_checked(shell: Shell) -> None:
    assert shell("events", "republish").code == 2
    assert shell("events", "republish", "--since", "1h", "--until", "2h").code == 2
    assert shell("events", "republish", "--since", "1h", "--category", "jobs").code == 2
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert shell("events", "republish", "--since", today, "--dry-run", "--json").data["commits"] > 0


class Picky:
    """A bus that refuses a stream's doorbells, and each other one once."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._seen: set[str] = set()

    def publish(self, bells: list[Doorbell]) -> list[int]:
        refused = []
        for place, bell in enumerate(bells):
            if bell.stream == "job-bad" or bell.stream not in self._seen:
                self._seen.add(bell.stream)
                refused.append(place)
            else:
                self.taken.append(bell.stream)
        return refused


def test_what_the_bus_refuses_is_tried_again_and_then_told() -> None:
    bells = [Doorbell("job-bad", 1, 1, ("X",), 5), Doorbell("job-good", 1, 1, ("X",), 5)]
    bus = Picky()
    work = Republishing(None, bus, Wanted(0, 9), pause=lambda _: None)  # type: ignore[arg-type]
    refused = work._publish(bells)
    assert [b.stream for b in refused] == ["job-bad"]
    assert bus.taken == ["job-good"]


def test_the_state_then_stands_beside_the_events(shell: Shell, application: Application) -> None:
    assert shell("jobs", "fail", "job_0", "--reason", "a test").code == 0
    commits = list(application.store.read("job-job_0"))
    now = shell("events", "show", "job_0", "--json").data
    assert (now["state"]["status"], now["verified"]) == ("failed", True)
    then = shell("events", "show", "job_0", "--as-of", _before(commits))
    assert then.code == 0
    assert "status" in then.out
    assert "queued" in then.out
    assert "state at" in then.out


def _before(commits: list[Commit]) -> str:
    return stamp(commits[-1].t - 1)
