"""Real processes: a supervisor in a process of its own, watched and killed from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.errors import AlreadyRunning
from infra.local.lock import DataLock, running, take_down
from infra.local.process import last_error
from infra.local.supervisor import Component, Supervisor
from tests.infra.test_emulator import gone

# What `up` does, with components that say when they stop. Usage: DATA [stubborn]
STACK = """
import os, sys
from pathlib import Path
from infra.local.emulator import Emulator
from infra.local.lock import DataLock
from infra.local.signals import StopSignals
from infra.local.supervisor import Component, Supervisor

data, stubborn = Path(sys.argv[1]), "stubborn" in sys.argv
SPEAKS = '''
import os, signal, subprocess, sys, time
from infra.local.process import leashed
name = sys.argv[1]
def stop(*_):
    with open(sys.argv[2], "a") as said:
        said.write(name + chr(10))
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if name == "deaf" else stop)
grandchild = subprocess.Popen(leashed(["sleep", "600"]))
print("pids", os.getpid(), grandchild.pid, flush=True)
while True:
    time.sleep(0.05)
'''
names = ["api", "relay", "deaf"] if stubborn else ["api", "relay", "worker"]
components = [
    Component(n, (sys.executable, "-c", SPEAKS, n, str(data / "said")), os.environ, 60.0)
    for n in names
]
with StopSignals() as signals, DataLock(data) as lock:
    emulator, supervisor = Emulator(data), Supervisor(components, data / "logs")
    try:
        emulator.start()
        supervisor.start()
        lock.publish({"api": "http://127.0.0.1:1"})
        print("up", emulator.pid, flush=True)
        print(supervisor.run(signals, emulator.running), flush=True)
    finally:
        with signals.deferred():
            supervisor.stop(lambda: signals.hurried)
            print("saved", emulator.stop(), flush=True)
"""


class Stack:
    """The process above."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-c", STACK, str(data), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        up = self.process.stdout.readline().split()
        assert up[:1] == ["up"], self.process.communicate()
        self.emulator = int(up[1])

    def components(self) -> dict[str, list[int]]:
        """Process ids of each component and of its child, once all three have spoken."""
        found: dict[str, list[int]] = {}
        for _ in range(200):
            for log in self.data.glob("logs/*.log"):
                spoken = [x for x in log.read_text().splitlines() if x.startswith("pids")]
                if spoken:
                    found[log.stem] = [int(word) for word in spoken[-1].split()[1:]]
            if len(found) == 3:
                return found
            time.sleep(0.02)
        raise AssertionError(f"only {sorted(found)} spoke")

    def ctrl_c(self) -> None:
        """As a terminal sends it: to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    started: list[Stack] = []

    def start(*arguments: str) -> Stack:
        started.append(Stack(tmp_path / "data", *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def test_ctrl_c_stops_components_in_reverse_and_then_saves_the_cloud(
    stack: Callable[..., Stack],
) -> None:
    one = stack()
    pids = one.components()
    one.ctrl_c()
    output, _ = one.process.communicate(timeout=30)
    assert output.split() == ["stopped", "saved", "True"]
    assert one.process.returncode == 0
    assert (one.data / "said").read_text().split() == ["worker", "relay", "api"]
    assert all(gone(pid) for family in pids.values() for pid in family)
    assert gone(one.emulator)
    assert running(one.data) is None
    assert not (one.data / "run.json").exists()


def test_the_second_ctrl_c_does_not_wait_for_the_deaf(stack: Callable[..., Stack]) -> None:
    one = stack("stubborn")
    pids = one.components()
    one.ctrl_c()
    time.sleep(0.5)
    assert one.process.poll() is None
    one.ctrl_c()
    _, errors = one.process.communicate(timeout=30)
    # It was asked for, so it is no news.
    assert "was killed" not in errors
    assert all(gone(pid) for family in pids.values() for pid in family)


def test_kill_9_of_the_supervisor_leaves_no_component_and_no_emulator(
    stack: Callable[..., Stack],
) -> None:
    one = stack("stubborn")
    pids = one.components()
    one.process.kill()
    assert all(gone(pid) for family in pids.values() for pid in family)
    assert gone(one.emulator)
    # The data directory is free at once, whatever run.json still says.
    assert (one.data / "run.json").exists()
    assert running(one.data) is None
    two = stack()
    assert running(one.data) is not None
    two.ctrl_c()
    two.process.communicate(timeout=30)


def test_a_crashed_component_is_started_again(
    stack: Callable[..., Stack],
) -> None:
    one = stack()
    first = one.components()["relay"][0]
    os.kill(first, signal.SIGKILL)
    for _ in range(250):
        second = one.components()["relay"][0]
        if second != first:
            break
        time.sleep(0.02)
    assert second != first
    one.ctrl_c()
    _, errors = one.process.communicate(timeout=30)
    assert "relay ended (SIGKILL)" in errors
    assert "relay started again" in errors


def test_the_death_of_the_emulator_ends_the_run(stack: Callable[..., Stack]) -> None:
    one = stack()
    one.components()
    os.kill(one.emulator, signal.SIGKILL)
    output, _ = one.process.communicate(timeout=30)
    assert output.split() == ["unhealthy", "saved", "False"]


def test_take_down_stops_what_runs_and_waits_until_it_has(stack: Callable[..., Stack]) -> None:
    one = stack()
    one.components()
    stopped = take_down(one.data)
    assert stopped is not None
    assert (stopped.pid, stopped.url) == (one.process.pid, "http://127.0.0.1:1")
    assert one.process.wait(5) == 0
    assert gone(one.emulator)
    assert take_down(one.data) is None


def test_a_second_stack_is_told_who_runs_where(stack: Callable[..., Stack]) -> None:
    one = stack()
    with pytest.raises(AlreadyRunning) as caught:
        DataLock(one.data).acquire()
    assert str(caught.value) == f"already running (pid {one.process.pid}) at http://127.0.0.1:1"


def test_nothing_runs_in_an_empty_place(tmp_path: Path) -> None:
    assert running(tmp_path / "none") is None
    assert take_down(tmp_path / "none") is None


def test_a_recycled_process_number_is_never_signalled(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        with DataLock(tmp_path) as lock:
            lock.publish({})
            state = json.loads((tmp_path / "run.json").read_text())
            # The lock is held, but run.json names a process that is not the one it meant.
            (tmp_path / "run.json").write_text(json.dumps(state | {"pid": bystander.pid}))
            assert take_down(tmp_path) is None
            with pytest.raises(AlreadyRunning) as caught:
                DataLock(tmp_path).acquire()
            assert caught.value.pid is None
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("text", ["", "{", '{"pid": "x"}'])
def test_a_damaged_run_file_is_only_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with DataLock(tmp_path):
        assert running(tmp_path) is not None
    assert not (tmp_path / "run.json").exists()


def test_restarts_back_off_and_say_why(tmp_path: Path) -> None:
    said: list[str] = []
    crashing = Component("probe", (sys.executable, "-c", "raise LookupError('no such bus')"), {})
    supervisor = Supervisor([crashing], tmp_path, said.append)
    supervisor.start()
    deadline = time.monotonic() + 10
    while sum("ended" in line for line in said) < 3 and time.monotonic() < deadline:
        supervisor.tend()
        time.sleep(0.01)
    supervisor.stop()
    ended = [line for line in said if "ended" in line]
    assert (
        "probe ended (exit code 1): LookupError: no such bus; starting again in 0.5 s" in ended[0]
    )
    assert "in 1 s" in ended[1]
    assert "in 2 s" in ended[2]
    assert str(tmp_path / "probe.log") in ended[0]
    assert supervisor.pids == {}


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ('{"event": "all is well", "level": "info"}', ""),
        ("INFO:     Uvicorn running", ""),
        (
            '{"event": "it failed", "level": "error"}\n{"event": "bye", "level": "info"}',
            "it failed",
        ),
        (
            '{"event": "no", "level": "error", "exception": "Traceback\\nKeyError: 1"}',
            "no: KeyError: 1",
        ),
        ("Traceback (most recent call last):\n  x\nbotocore.Error: gone\n", "Error: gone"),
        ('{"event": "half', ""),
        ("", ""),
    ],
)
def test_of_a_log_only_the_last_error_is_quoted(tmp_path: Path, log: str, said: str) -> None:
    (tmp_path / "log").write_text(f"OSError: of an earlier run\n{log}")
    found = last_error(tmp_path / "log", 27)
    assert found.endswith(said)
    assert bool(found) == bool(said)
    assert last_error(tmp_path / "none") == ""


def test_what_a_crashed_component_had_started_dies_with_it(tmp_path: Path) -> None:
    forgets = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    component = Component("forgetful", (sys.executable, "-c", forgets), {"PATH": os.defpath})
    said: list[str] = []
    supervisor = Supervisor([component], tmp_path, said.append)
    supervisor.start()
    while not said:
        supervisor.tend()
        time.sleep(0.01)
    assert gone(int((tmp_path / "forgetful.log").read_text()))


def test_a_long_log_is_rotated_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with Supervisor([Component("a", ("sleep", "60"), {"PATH": os.defpath})], tmp_path):
        assert log.stat().st_size == 0
        assert (tmp_path / "a.log.1").exists()
