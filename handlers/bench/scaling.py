"""How the workers' scaling policy behaves: songs arrive, machines start slowly, somebody waits.

A simulation in steps of a second, of one lane. What is simulated is what runs: the policy's steps
are read from ``infra/stacks/workers.yaml``. Each minute the sweeper publishes how many seconds of
work the lane holds, at measured speeds; CloudWatch sees it a minute later and sets the number of
tasks by the policy's steps. A task that is at work is protected, so only idle ones are stopped,
and an empty lane keeps its last task for a quarter of an hour.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from handlers.bench import Figure

STACK = Path(__file__).resolve().parents[2] / "infra" / "stacks" / "workers.yaml"
DAY = 86_400
METRIC_SECONDS = 60
"""Between two looks of the sweeper, and again until an alarm has acted on one."""


class Steps(Struct, frozen=True):
    """From seconds of work to tasks. bounds: lower bounds, ascending, each with its tasks.

    linger: seconds that a lane is empty before its last task goes.
    """

    bounds: tuple[tuple[float, int], ...]
    linger: int
    floor: int = 0

    def wanted(self, work: float) -> int:
        """Tasks for that many seconds of work; the floor for none."""
        fitting = [tasks for bound, tasks in self.bounds if work > bound]
        return max(self.floor, fitting[-1] if fitting and work > 0 else 0)


class Fixed(Struct, frozen=True):
    """So many tasks, day and night: what there is to compare with."""

    tasks: int
    linger: int = 0

    @property
    def floor(self) -> int:
        """They are always there."""
        return self.tasks

    def wanted(self, _work: float) -> int:
        """As many as always."""
        return self.tasks


Policy = Steps | Fixed


class Traffic(Struct, frozen=True):
    """songs: a day, most of them in the evening. minutes: the median length, log-normal.

    speed: audio seconds that a task separates in a second. cold: seconds until a new task works.
    """

    songs: int
    minutes: float = 4.0
    speed: float = 12.0
    cold: int = 180


class Task(Struct):
    """ready: when it can work. until: when its song is done. began: when it is paid from."""

    began: int
    ready: int
    until: int = 0


class Moment(Struct, frozen=True):
    """A minute of the day, for the chart."""

    second: int
    arrived: int
    waiting: int
    tasks: int


class Outcome(Struct, frozen=True):
    """waits: seconds from the request to the claim, sorted. paid: seconds of tasks that ran."""

    waits: tuple[int, ...]
    paid: int
    work: float
    moments: tuple[Moment, ...]

    def wait(self, share: float) -> int:
        """The wait that so many do not exceed."""
        return self.waits[min(len(self.waits) - 1, math.ceil(share * len(self.waits)) - 1)]

    @property
    def busy(self) -> float:
        """The share of paid seconds in which songs were separated."""
        return self.work / self.paid if self.paid else 0.0


def arrivals(traffic: Traffic, chance: random.Random) -> list[tuple[int, float]]:
    """(second, seconds of work) of each song of a day: a Poisson process, thinned by the hour."""
    found = []
    for _ in range(traffic.songs):
        while True:
            second = chance.randrange(DAY)
            # Three times as busy at 20:00 as at 8:00.
            if chance.random() < 0.5 + 0.25 * (1 + math.cos(math.tau * (second / DAY - 20 / 24))):
                break
        length = 60 * chance.lognormvariate(math.log(traffic.minutes), 0.4)
        found.append((second, length / traffic.speed))
    return sorted(found)


class Lane:
    """One lane of workers under a policy."""

    def __init__(self, policy: Policy, cold: int) -> None:
        self._policy, self._cold = policy, cold
        self.queue: deque[tuple[int, float]] = deque()
        self.tasks = [Task(0, 0) for _ in range(policy.floor)]
        self.waits: list[int] = []
        self.paid = 0
        self._empty_since = 0
        self._seen: deque[float] = deque([0.0, 0.0], maxlen=2)

    def work(self, now: int) -> float:
        """Seconds of work: what waits, and what is left of what runs."""
        left = sum(max(0, task.until - now) for task in self.tasks)
        return left + sum(seconds for _, seconds in self.queue)

    def claim(self, now: int) -> None:
        """Idle tasks take the songs that have waited longest."""
        for task in self.tasks:
            if self.queue and task.ready <= now and task.until <= now:
                came, seconds = self.queue.popleft()
                self.waits.append(now - came)
                task.until = now + max(1, round(seconds))

    def scale(self, now: int) -> None:
        """The alarm acts on what the sweeper published a minute ago."""
        self._seen.append(self.work(now))
        seen = self._seen[0]
        if self._seen[-1] > 0:
            self._empty_since = now
        wanted = self._policy.wanted(seen)
        if not seen and now - self._empty_since < self._policy.linger:
            wanted = max(wanted, min(1, len(self.tasks)))
        for _ in range(wanted - len(self.tasks)):
            self.tasks.append(Task(now, now + self._cold))
        idle = [task for task in self.tasks if task.until <= now and task.ready <= now]
        for task in idle[: max(0, len(self.tasks) - wanted)]:
            self.tasks.remove(task)
            self.paid += now - task.began

    def close(self, now: int) -> None:
        """The day is over; what still runs is paid until now."""
        self.paid += sum(now - task.began for task in self.tasks)


def simulate(policy: Policy, traffic: Traffic, seed: int = 1) -> Outcome:
    """A day of that traffic; the same seed gives the same songs to every policy."""
    songs = deque(arrivals(traffic, random.Random(seed)))  # noqa: S311 - a simulation
    work = sum(seconds for _, seconds in songs)
    lane = Lane(policy, traffic.cold)
    moments: list[Moment] = []
    arrived = now = 0
    while now < DAY or lane.queue:
        while songs and songs[0][0] <= now:
            lane.queue.append(songs.popleft())
            arrived += 1
        lane.claim(now)
        if now % METRIC_SECONDS == 0:
            lane.scale(now)
            moments.append(Moment(now, arrived, len(lane.queue), len(lane.tasks)))
            arrived = 0
        now += 1
    lane.close(now)
    return Outcome(tuple(sorted(lane.waits)), lane.paid, work, tuple(moments))


def policy(name: str = "GpuScalingPolicy", stack: Path = STACK) -> Steps:
    """The steps that the stack declares. Raises KeyError for a policy that it lacks."""
    from infra.local.template import CloudFormationLoader

    document: dict[str, Any] = yaml.load(stack.read_text(), Loader=CloudFormationLoader)  # noqa: S506 - a SafeLoader
    declared = document["Resources"][name]["Properties"]["StepScalingPolicyConfiguration"]
    steps = sorted(
        (float(step.get("MetricIntervalLowerBound", 0)), int(step["ScalingAdjustment"]))
        for step in declared["StepAdjustments"]
    )
    empty = document["Resources"][name.replace("Policy", "Idle")]["Properties"]
    return Steps(tuple(steps), int(empty["Period"]) * int(empty["EvaluationPeriods"]))


def figures(songs: Sequence[int] = (200, 2_000, 20_000), hour: float = 0.53) -> list[Figure]:
    """The policy beside fixed numbers of tasks, by songs a day. hour: dollars of a task."""
    found = []
    for number in songs:
        traffic = Traffic(number)
        for name, each in compared(traffic):
            outcome = simulate(each, traffic)
            found.append(_figure(f"{number:,} songs a day, {name}", outcome, number, hour))
    return found


def compared(traffic: Traffic) -> list[tuple[str, Policy]]:
    """The policy; the same with a task that stays; and as many tasks as the day needs on average,
    and at its worst hour.
    """
    declared = policy()
    work = traffic.songs * traffic.minutes * 60 / traffic.speed
    mean, peak = math.ceil(work / DAY / 0.8), math.ceil(1.5 * work / DAY / 0.6)
    warm = Steps(declared.bounds, declared.linger, 1)
    fixed: list[tuple[str, Policy]] = [(f"always {n}", Fixed(n)) for n in sorted({mean, peak})]
    return [("the policy, from zero", declared), ("the policy, one stays", warm), *fixed]


def _figure(what: str, outcome: Outcome, songs: int, hour: float) -> Figure:
    dollars = outcome.paid / 3600 * hour
    return Figure(
        what, 1000 * dollars / songs, "USD per 1,000 songs", "",
        f"waits: median {outcome.wait(0.5)} s, p95 {outcome.wait(0.95)} s, longest "
        f"{outcome.waits[-1]} s; {outcome.paid / 3600:,.1f} task hours, {outcome.busy:.0%} busy",
    )  # fmt: skip
