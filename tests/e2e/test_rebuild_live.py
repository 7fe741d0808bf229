"""A rebuild while the stack serves: real relay, bus, queue and projector, under traffic."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import SignUp, execute
from commands.operations import Pause, Resume
from domain import credits
from domain.commit import Append, Meta
from domain.credits import CREDITS
from handlers.operating.overview import health
from handlers.operating.rebuilding import assemble, settle
from infra.bootstrap import Application
from infra.local.ports import is_ready
from infra.local.stack import LocalStack, adopted
from infra.pacing import Pace
from infra.settings import from_environment
from projections import CREDITS_VIEW
from projections.checking import Check
from projections.crew import Crew
from projections.proof import Proof
from projections.query import at_least
from projections.rebuild import Report
from projections.sweeping import Swept, Target
from projections.switching import drop, roll_back
from tests.e2e.conftest import IMPATIENT

USERS = 60


class Traffic(threading.Thread):
    """Grants to users in turn; each is read back at once, and no answer may be older."""

    def __init__(self, application: Application, users: list[str]) -> None:
        super().__init__()
        self._application, self._users = application, users
        self.stop = threading.Event()
        self.versions: dict[str, int] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        """See Traffic."""
        turn = 0
        while not self.stop.is_set():
            user = self._users[turn % len(self._users)]
            turn += 1
            version = grant(self._application, user)
            self.versions[user] = version
            reading = self._application.reading
            found = at_least(CREDITS_VIEW, CREDITS.stream(user), reading, version)
            if found is None or found.version < version:
                self.wrong.append(f"{user} at {version}: {found}")


def grant(application: Application, user: str) -> int:
    loaded = application.store.load(CREDITS, CREDITS.stream(user))
    gift = credits.CreditsGranted(user, application.ids.fresh("grt"), "promotion", 5)
    meta = Meta(application.ids.fresh("cmd"), "test")
    (commit,) = application.store.append([Append(loaded, [gift])], meta)
    return int(commit.last)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    data: Path = tmp_path_factory.mktemp("live")
    settings = {**IMPATIENT, "pulse_seconds": "1"}
    with LocalStack(data, workers=0, settings=settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def application(serving: LocalStack) -> Iterator[Application]:
    with adopted(serving.environment):
        yield Application(from_environment(), "test")


@pytest.fixture(scope="module")
def users(application: Application) -> list[str]:
    names = [application.ids.fresh("usr") for _ in range(USERS)]
    for name in names:
        meta = Meta(application.ids.fresh("cmd"), "test")
        execute(application.context, SignUp(name, "development", f"{name}@example.com"), meta)
    return names


def until_level(application: Application, number: int, versions: dict[str, int]) -> None:
    """Wait until the generation's rows have come so far, by the projector alone."""
    generation, deadline = f"credits@{number}", time.monotonic() + 30
    streams = {CREDITS.stream(user): version for user, version in versions.items()}
    while True:
        heads = application.rows.heads(generation, list(streams))
        if all(s in heads and heads[s].version >= v for s, v in streams.items()):
            return
        assert time.monotonic() < deadline, f"{generation} did not follow"
        time.sleep(0.1)


def test_rebuild_flip_rollback_and_drop_under_traffic(
    application: Application, users: list[str]
) -> None:
    traffic = Traffic(application, users)
    traffic.start()
    try:
        phases: list[str] = []
        rebuild = assemble(application, CREDITS_VIEW, Pace(), lambda p: phases.append(p.phase))
        report = rebuild.run()
        assert report.flipped, report.proof.unexpected
        assert list(dict.fromkeys(phases)) == ["settle", "fold", "prove"]
        time.sleep(2)
        # Both are written by the projector: the way back is one step.
        roll_back(CREDITS_VIEW, application.operating, application.clock.now())
        settle()
        drop(CREDITS_VIEW, application.operating, report.generation, settle)
    finally:
        traffic.stop.set()
        traffic.join(30)
    assert traffic.wrong == []
    until_level(application, 1, traffic.versions)
    target = Target(CREDITS_VIEW, 1)
    checked = Check(target, application.operating, application.clock.now).streams()
    assert checked.differences == []
    assert checked.streams >= USERS
    assert list(application.rows.scan(f"credits@{report.generation}")) == []


def test_the_building_generation_follows_by_the_projector_alone(
    application: Application, users: list[str]
) -> None:
    """What is committed after the scan has passed reaches the new rows without the proof."""
    rebuild = assemble(application, CREDITS_VIEW, Pace(), lambda _: None)
    catalogue = rebuild._begin()
    assert catalogue.building is not None
    number = catalogue.building.number
    settle()
    report = Report("credits", number, 1, 1, 1, Swept(), Proof(), resumed=False)
    rebuild._fold(catalogue, report, Crew(4))
    versions = {user: grant(application, user) for user in users}
    until_level(application, number, versions)
    until_level(application, catalogue.live.number, versions)
    drop(CREDITS_VIEW, application.operating, number, settle)


def test_paused_and_resumed_the_rows_come_back_by_themselves(
    application: Application, users: list[str]
) -> None:
    def control(command: object) -> None:
        meta = Meta(application.ids.fresh("cmd"), "test")
        execute(application.context, command, meta)  # type: ignore[arg-type]

    control(Pause("projection:credits", "test"))
    time.sleep(3)  # until the projector has heard
    live = application.operating.generations.live("credits")
    before = application.rows.head(f"credits@{live}", CREDITS.stream(users[0]))
    versions = {user: grant(application, user) for user in users[:5]}
    time.sleep(2)
    assert application.rows.head(f"credits@{live}", CREDITS.stream(users[0])) == before
    control(Resume("projection:credits", "test"))
    until_level(application, live, versions)


def test_a_projector_that_hangs_makes_the_stack_unready(
    serving: LocalStack, application: Application
) -> None:
    """It is stopped, not ended: nobody says that it is dead, and its process is there."""
    port = int(serving.api_url.rpartition(":")[2])
    assert is_ready(port)
    assert health(application).projector.alive
    pid = serving.supervisor.pids["projector"]
    os.killpg(pid, signal.SIGSTOP)
    try:
        until(lambda: not is_ready(port))
        assert not health(application).projector.alive
    finally:
        os.killpg(pid, signal.SIGCONT)
    until(lambda: is_ready(port))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)
