"""Workers that are killed, frozen and drained while they work; which moments were hit is counted.

Everything is drawn from one seeded generator. A job is disturbed DISTURBANCES times at most: its
message is delivered five times before it counts as what kills its workers.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from domain.job import OPEN, JobState
from infra.local.stack import LocalStack

DISTURBANCES = 3
POINTS = (
    "download", "probe", "separate", "encode", "upload",
    "claiming", "recording", "storing", "bundling", "completing", "completed", "idle",
)  # fmt: skip
KINDS = ("kill", "pair", "freeze", "drain")
AIM_SECONDS, PAUSE_SECONDS, END_SECONDS = 1.0, 0.6, 30.0


class At(Struct, frozen=True):
    """What a worker is at, or was when it died. job: ``-`` for none."""

    job: str
    attempt: int
    point: str


class Nursery:
    """Workers of a stack without any, forked from a warm process; a context manager."""

    def __init__(self, stack: LocalStack, directory: Path, *mode: str) -> None:
        self._directory = directory
        with (stack.data / "logs" / "workers-of-test.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.fast_worker", str(directory), *mode],
                env=stack.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)

    def fork(self) -> int:
        """A new worker's pid."""
        return int(self._ask("fork"))

    def poll(self, pid: int) -> int | None:
        """Its exit status, once it has ended."""
        answer = self._ask(f"poll {pid}")
        return None if answer == "alive" else int(answer)

    def ended(self, pid: int, seconds: float = END_SECONDS) -> int:
        """Its exit status, which has to come."""
        give_up = time.monotonic() + seconds
        while (status := self.poll(pid)) is None:
            assert time.monotonic() < give_up, f"worker {pid} does not end at {self.at(pid)}"
            time.sleep(0.002)
        return status

    def kill(self, pid: int) -> None:
        """SIGKILL."""
        os.kill(pid, signal.SIGKILL)
        assert self.ended(pid) == -signal.SIGKILL

    def at(self, pid: int) -> At:
        """See ``tests.e2e.fast_worker.Trace``."""
        try:
            words = (self._directory / str(pid)).read_text().split()
        except FileNotFoundError:  # it has only just been forked
            return At("-", 0, "starting")
        return At(words[0], int(words[1]), words[2]) if words else At("-", 0, "starting")

    def _ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the warm process has died; see workers-of-test.log"
        return answer


class Killing:
    """state: of a job. more: told that room for more jobs may be there."""

    def __init__(
        self,
        nursery: Nursery,
        workers: int,
        chance: random.Random,
        state: Callable[[str], JobState],
        more: Callable[[], None],
    ) -> None:
        self._nursery, self._chance = nursery, chance
        self._state, self._more = state, more
        self.workers = [nursery.fork() for _ in range(workers)]
        self.frozen: dict[int, At] = {}
        self.draining: list[int] = []
        self.killed, self.hit = 0, Counter[str]()
        self.done = Counter[str]()
        self.overtaken = 0
        self._disturbed = Counter[str]()

    def run(self, kills: int, weights: tuple[int, ...] = (14, 2, 2, 2)) -> None:
        """Until so many workers were killed. weights: of KINDS."""
        while self.killed < kills:
            self._more()
            self._look_after()
            (kind,) = self._chance.choices(KINDS, weights)
            for pid in self._aim()[: 2 if kind == "pair" else 1]:
                self._disturb(kind, pid)

    def calm_down(self) -> None:
        """Nobody is disturbed any more; the zombies go on at once."""
        for pid in list(self.frozen):
            self._thaw(pid)
        self._look_after()

    def stop(self) -> list[int]:
        """Drain all workers; their exit statuses."""
        for pid in self.workers:
            os.kill(pid, signal.SIGTERM)
        ending, self.workers = [*self.workers, *self.draining], []
        self.draining = []
        return [self._nursery.ended(pid) for pid in ending]

    def _aim(self) -> list[int]:
        """Workers that may be hit now, those first that are where we wanted one.

        Half of the time we wait for any moment at all, else for one that was hit least.
        """
        if self._chance.random() < 0.5:
            time.sleep(self._chance.uniform(0, PAUSE_SECONDS))
            return [pid for pid in self._allowed() if self._nursery.at(pid).point != "idle"]
        rare = min(self.hit[point] for point in POINTS)
        wanted = self._chance.choice([p for p in POINTS if self.hit[p] <= rare + 2])
        delay = self._chance.uniform(0, 0.02)
        give_up = time.monotonic() + AIM_SECONDS
        while time.monotonic() < give_up:
            allowed = self._allowed()
            there = [pid for pid in allowed if self._nursery.at(pid).point == wanted]
            if there:
                if self._chance.random() < 0.5:
                    time.sleep(delay)
                return there + [pid for pid in allowed if pid not in there]
            time.sleep(0.001)
        return []

    def _allowed(self) -> list[int]:
        found = list(self.workers)
        self._chance.shuffle(found)
        return [
            pid
            for pid in found
            if (at := self._nursery.at(pid)).point != "starting"
            and self._disturbed[at.job] < DISTURBANCES
        ]

    def _disturb(self, kind: str, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        at = self._nursery.at(pid)
        if self._disturbed[at.job] >= DISTURBANCES or (kind == "freeze" and not self._spare()):
            os.kill(pid, signal.SIGCONT)  # it has only just got that job
            return
        if at.job != "-":
            self._disturbed[at.job] += 1
        self.workers.remove(pid)
        self.done[kind] += 1
        if kind == "freeze":
            self.frozen[pid] = at
            return
        if kind == "drain":
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
            self.draining.append(pid)
        else:
            self._nursery.kill(pid)
            self.killed += 1
            self.hit[at.point] += 1
        self.workers.append(self._nursery.fork())

    def _spare(self) -> bool:
        """Whether one more may be frozen: somebody has to overtake those that are."""
        return len(self.frozen) < 2 and len(self.workers) > 1

    def _look_after(self) -> None:
        for pid, at in list(self.frozen.items()):
            state = self._state(at.job) if at.job != "-" else None
            if state is None or state.attempt > max(1, at.attempt) or state.status not in OPEN:
                self._thaw(pid)
        for pid in list(self.draining):
            status = self._nursery.poll(pid)
            if status is not None:
                assert status == 0, f"a drained worker ended with {status}"
                self.draining.remove(pid)

    def _thaw(self, pid: int) -> None:
        at = self.frozen.pop(pid)
        if at.job != "-" and self._state(at.job).attempt > max(1, at.attempt):
            self.overtaken += 1
        os.kill(pid, signal.SIGCONT)
        self.workers.append(pid)
