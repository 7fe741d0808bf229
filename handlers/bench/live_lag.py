"""How long a row lags behind its commit while commits come at a steady rate, on a local stack.

Commits are due by a fixed schedule that a late one does not move (open loop). Some of them
are watched: one batch read per WATCH_SECONDS asks for all the heads that are still awaited,
so that looking costs the machine little and errs by at most that much.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct

from commands import Context, Position, execute
from commands.dispatch import Command
from domain.commit import Meta
from handlers.bench import Figure, songs
from infra.bootstrap import DEFAULT_MODEL, Application
from projections import CREDITS_VIEW, JOBS_VIEW, LIBRARY_VIEW

RATE = 100.0
"""Commits per second."""
SECONDS = 30.0
USERS = 8
"""Users who separate song after song, each on a thread of its own. Few: a late crowd would have
the emulator to itself, and the relay and the projector, one call at a time, would starve."""
EVERY = 5
WATCH_SECONDS = 0.05
PATIENCE_SECONDS = 60.0


class Run(Struct):
    """What was measured. lags, tardy: milliseconds; cores: CPU seconds per second, by part."""

    lags: list[float]
    tardy: list[float]
    commits: int
    seconds: float
    cores: dict[str, float]


def figures(application: Application, processes: Mapping[str, int]) -> list[Figure]:
    """Lag by percentile, the rate that was reached, and whose CPU it took.

    processes: the stack's process ids by name, each the leader of a group.
    """
    run = measure(application, processes)
    lags = sorted(run.lags)
    rate = f"at {run.commits / run.seconds:.0f} commits/s"
    cores = ", ".join(f"{name} {used:.2f}" for name, used in run.cores.items())
    return [
        Figure(f"commit to row {rate}, median of {len(lags)}", statistics.median(lags), "ms"),
        Figure(f"commit to row {rate}, 99th percentile", _percentile(lags, 0.99), "ms", "<= 1000"),
        Figure(f"commit to row {rate}, longest", lags[-1], "ms"),
        Figure(
            "a commit behind its schedule, 99th percentile",
            _percentile(sorted(run.tardy), 0.99), "ms",
        ),
        Figure("processor cores used meanwhile", sum(run.cores.values()), "cores", "", cores),
    ]  # fmt: skip


def measure(application: Application, processes: Mapping[str, int]) -> Run:
    """Commit for SECONDS at RATE and wait until every watched row has come."""
    whole = application.context
    context = Context(
        whole.store, whole.clock, whole.ids, whole.sealer, whole.catalog, signup_grant=1_000_000
    )
    watch = _Watch(application)
    users = [_User(context, watch) for _ in range(USERS)]
    before, begun = cpu_of(processes), time.perf_counter()
    with ThreadPoolExecutor(USERS) as pool:
        done = [pool.submit(u.play, begun, n) for n, u in enumerate(users)]
        tardy = [late for future in done for late in future.result()]
    seconds = time.perf_counter() - begun
    used = {name: (cpu - before[name]) / seconds for name, cpu in cpu_of(processes).items()}
    lags = watch.finish()
    return Run(lags, tardy, sum(u.commits for u in users), seconds, used)


class _User:
    """One user's jobs, one after the other, as the API and a worker would commit them."""

    def __init__(self, context: Context, watch: _Watch) -> None:
        self.commits = 0
        self._context, self._watch = context, watch
        self._user, self._asset = context.ids.fresh("usr"), context.ids.fresh("ast")
        for command in songs.arrival(self._user, self._asset):
            self._do(command)

    def play(self, begun: float, place: int) -> list[float]:
        """Commit until the time is over; by how many milliseconds each command was late."""
        tardy: list[float] = []
        for number, command in enumerate(self._jobs(), place):
            due = begun + (self.commits * USERS + place) / RATE
            if due >= begun + SECONDS:
                return tardy
            time.sleep(max(0.0, due - time.perf_counter()))
            tardy.append(1000 * (time.perf_counter() - due))
            positions = self._do(command)
            self.commits += len(positions)
            if number % EVERY == 0:
                self._watch.add(positions)
        raise AssertionError("unreachable")

    def _jobs(self) -> Iterator[Command]:
        while True:
            yield from songs.separation(self._context, self._user, self._asset, DEFAULT_MODEL)

    def _do(self, command: Command) -> tuple[Position, ...]:
        meta = Meta(self._context.ids.fresh("cmd"), self._user)
        return execute(self._context, command, meta)


class _Watch:
    """Waits for rows on a thread of its own."""

    def __init__(self, application: Application) -> None:
        self._client = application.client("dynamodb")
        self._table = application.settings.read_models_table
        self._generations = {
            p.aggregate.category: p.generation(application.reading.generations.live(p.name))
            for p in (JOBS_VIEW, CREDITS_VIEW, LIBRARY_VIEW)
        }
        self._awaited: dict[tuple[str, int], float] = {}
        self._lags: list[float] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look_out, daemon=True)
        self._thread.start()

    def add(self, positions: Sequence[Position]) -> None:
        """These have been acknowledged just now."""
        now = time.perf_counter()
        for position in positions:
            generation = self._generations[position.stream.partition("-")[0]]
            self._awaited[f"{generation}#{position.stream}", position.version] = now

    def finish(self) -> list[float]:
        """Milliseconds for each, when all have come. Raises TimeoutError when some do not."""
        self._closed.set()
        self._thread.join(PATIENCE_SECONDS)
        if self._awaited:
            raise TimeoutError(f"{len(self._awaited)} rows did not come within a minute")
        return self._lags

    def _look_out(self) -> None:
        while self._awaited or not self._closed.is_set():
            begun = time.perf_counter()
            self._look()
            time.sleep(max(0.0, WATCH_SECONDS - (time.perf_counter() - begun)))

    def _look(self) -> None:
        awaited = list(self._awaited)[:100]
        if not awaited:
            return
        versions = self._versions(list(dict.fromkeys(pk for pk, _ in awaited)))
        now = time.perf_counter()
        for pk, version in awaited:
            if versions.get(pk, 0) >= version:
                self._lags.append(1000 * (now - self._awaited.pop((pk, version))))

    def _versions(self, pks: list[str]) -> dict[str, int]:
        request: dict[str, Any] = {
            "Keys": [{"pk": {"S": pk}, "sk": {"S": "head"}} for pk in pks],
            "ConsistentRead": True,
            "ProjectionExpression": "pk, v",
        }
        answer = self._client.batch_get_item(RequestItems={self._table: request})
        items = answer["Responses"].get(self._table, [])
        return {item["pk"]["S"]: int(item["v"]["N"]) for item in items}


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cpu_of(processes: Mapping[str, int]) -> dict[str, float]:
    """Seconds of CPU that each group of processes has used; our own as ``bench``.

    ``others``: the rest of the machine. Where they take much, the lag is theirs and not ours.
    """
    ticks = dict.fromkeys(processes.values(), 0)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if (group := int(fields[2])) in ticks:
            ticks[group] += int(fields[11]) + int(fields[12])
    hertz = os.sysconf("SC_CLK_TCK")
    used = {name: ticks[group] / hertz for name, group in processes.items()}
    used["bench"] = time.process_time()
    user, nice, system, *_ = Path("/proc/stat").read_text().split()[1:]
    return used | {"others": (int(user) + int(nice) + int(system)) / hertz - sum(used.values())}
