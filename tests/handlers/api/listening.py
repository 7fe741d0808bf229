"""A client of event streams that reads them from its own socket, event by event."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from commands import CancelSeparation, RecordStage, StartSeparation
from commands.dispatch import Command
from infra.operations import Progress
from projections import JOBS_VIEW
from projections.catch_up import catch_up
from tests.handlers.api.people import Person


class Told(Struct, frozen=True):
    """One event. id: empty where it has none."""

    name: str
    data: dict[str, Any]
    id: str


class Listener:
    """One open stream."""

    def __init__(self, url: str, path: str, headers: dict[str, str]) -> None:
        place = urlsplit(url)
        assert place.hostname
        self._connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
        self._connection.request("GET", path, headers={"Connection": "close", **headers})
        self.answer = self._connection.getresponse()
        self.comments: list[str] = []
        self.retries: list[int] = []

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.answer.status

    def next(self) -> Told | None:
        """The next event; None once the stream has ended as HTTP wants it."""
        name, data, identity = "", "", ""
        while line := self.answer.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            match field:
                case "":
                    if line != "\n":
                        self.comments.append(line.rstrip("\n"))
                    elif data:
                        return Told(name, json.loads(data), identity)
                case "event":
                    name = value
                case "data":
                    data = value
                case "id":
                    identity = value
                case "retry":
                    self.retries.append(int(value))
                case _:
                    raise AssertionError(line)
        return None

    def until(self, name: str, **wanted: Any) -> Told:
        """The next event of that name whose data has those members."""
        while told := self.next():
            if told.name == name and wanted.items() <= told.data.items():
                return told
        raise AssertionError(f"the stream ended without {name} {wanted}")

    def rest(self) -> list[Told]:
        """All that comes until the stream ends."""
        return list(iter(self.next, None))

    def close(self) -> None:
        """Go away."""
        if self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self.answer.close()
        self._connection.close()


@contextmanager
def listening(
    url: str, person: Person, path: str, after: str | int | None = None, **headers: str
) -> Iterator[Listener]:
    """Listen there as that person. after: the Last-Event-ID."""
    sent = {"Authorization": person.http.headers["Authorization"], **headers}
    if after is not None:
        sent["Last-Event-ID"] = str(after)
    listener = Listener(url, path, sent)
    try:
        yield listener
    finally:
        listener.close()


def events_of(job: dict[str, Any]) -> str:
    """The path of a job's stream."""
    return f"/v1/jobs/{job['job_id']}/events"


def project(person: Person, job: dict[str, Any]) -> None:
    """What the projector would do by now."""
    catch_up(JOBS_VIEW, job["stream"], person.worker.application.reading)


QUICK = {"sse_poll_seconds": 0.1, "sse_ping_seconds": 0.3, "sse_per_user": 3}
"""Settings of a process that looks often."""


class Moved:
    """A job that a worker brings on, with rows that follow at once."""

    def __init__(self, person: Person, **wish: Any) -> None:
        self.person, self.job = person, person.job(**wish)
        self.path = events_of(self.job)

    def run(self, *commands: Command) -> None:
        """Execute as the worker."""
        for command in commands:
            self.person.worker.run(command)
        project(self.person, self.job)

    def start(self) -> None:
        """A worker claims it."""
        self.run(StartSeparation(self.job["job_id"], "test"))

    def stage(self, name: str) -> None:
        """A stage ends."""
        self.run(RecordStage(self.job["job_id"], 1, name, 1500))

    def report(self, stage: str, done: float) -> None:
        """The worker says how far it is."""
        progress = Progress(1, "test", stage, done, 1)
        self.person.worker.application.operations.report(self.job["job_id"], progress)

    def finish(self) -> None:
        """It completes."""
        self.person.worker.finish(self.job, self.person.user_id)
        project(self.person, self.job)

    def cancel(self) -> None:
        """Its user takes it back."""
        self.run(CancelSeparation(self.person.user_id, self.job["job_id"]))

    def get(self) -> dict[str, Any]:
        """What polling tells."""
        found: dict[str, Any] = self.person.http.get(f"/v1/jobs/{self.job['job_id']}").json()
        return found


def settle(done: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
