"""What an accepted job costs our API in CPU, beside a usual endpoint; how long reads take.

CPU, not seconds: the databases and the client are elsewhere, and other programs do not count.
Rounds of ours and of the peer's take turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from handlers.bench import Figure
from handlers.bench.api_load import Caller, cpu_seconds, get, post
from handlers.bench.api_served import Served, beside, callers, ours

ROUNDS, JOBS = 7, 60
"""Rounds that are measured, and jobs of each caller in one."""
CLIENTS, READERS, READS = 4, 50, 30
READ_PATHS = ("/v1/jobs/{}", "/v1/jobs", "/v1/credits")
GOAL = "<= 1.0 times the peer's"
NO_PEER = "PostgreSQL is not installed: nothing to compare with"


def figures(rounds: int = ROUNDS, jobs: int = JOBS, readers: int = READERS) -> list[Figure]:
    """Milliseconds of CPU for each accepted job; 99th percentiles of reads by 50 clients."""
    with (
        tempfile.TemporaryDirectory() as directory,
        ours(Path(directory)) as (served, application),
        beside(Path(directory), application) as peer,
    ):
        clients = callers(application, CLIENTS)
        if peer:
            for client in clients:
                _open_account(peer, client)
        rows = _accepted(served, peer, clients, rounds, jobs)
        return rows + _reads(served, callers(application, readers))


def _open_account(peer: Served, client: Caller) -> None:
    answer = httpx.put(
        f"{peer.url}/v1/accounts", headers={"Authorization": f"Bearer {client.token}"}
    )
    answer.raise_for_status()


def _accepted(
    served: Served, peer: Served | None, clients: Sequence[Caller], rounds: int, jobs: int
) -> list[Figure]:
    sides = [served, peer] if peer else [served]
    took: list[list[float]] = [[] for _ in sides]
    for number in range(-1, rounds):  # the first one warms up
        for side, values in zip(sides, took, strict=True):
            cpu = _milliseconds(side, clients, jobs)
            if number >= 0:
                values.append(cpu)
    own = statistics.median(took[0])
    if not peer:
        return [Figure("CPU of an accepted job", own, "ms", GOAL, NO_PEER)]
    theirs = statistics.median(took[1])
    beside = f"FastAPI, SQLAlchemy, PostgreSQL: {theirs:.2f} ms ({_spread(took[1])})"
    return [
        Figure(f"CPU of an accepted job ({_spread(took[0])})", own, "ms", "", beside),
        Figure("the same, times the peer's", own / theirs, "", GOAL),
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f} in {len(values)} rounds"


def _milliseconds(side: Served, clients: Sequence[Caller], jobs: int) -> float:
    before = cpu_seconds(side.pid)
    post(side.url, "/v1/jobs", clients, jobs)
    return 1000 * (cpu_seconds(side.pid) - before) / (jobs * len(clients))


def _reads(served: Served, clients: Sequence[Caller]) -> list[Figure]:
    own = [_job_of(served, client) for client in clients]
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, the emulator among it"
    rows = []
    for path in READ_PATHS:
        paths = [[path.format(job)] for job in own]
        get(served.url, clients, paths, 2)
        took = get(served.url, clients, paths, READS)
        p99, middle = took[int(0.99 * len(took))], statistics.median(took)
        what = f"GET {path.format('{id}')}, {len(clients)} clients at once, p99"
        rows.append(Figure(what, 1000 * p99, "ms", "", f"median {1000 * middle:.0f} ms; {load}"))
    return rows


def _job_of(served: Served, client: Caller) -> str:
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}
    answer = httpx.post(f"{served.url}/v1/jobs", headers=headers, content=client.body)
    return str(answer.raise_for_status().json()["job_id"])
