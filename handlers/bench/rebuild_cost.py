"""A rebuild through the embedded cloud: how fast, whose CPU, and what a million events cost.

Only the emulator runs beside it. Units are the metering wrapper's, from item sizes by AWS's rules;
a million events are taken to be of the same kinds as the thousands that were folded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from domain.commit import Commit
from handlers.bench import Figure
from handlers.bench.fold_speed import commits_of_users
from handlers.bench.live_lag import cpu_of
from handlers.operating.rebuilding import assemble
from infra.bootstrap import Application
from infra.event_store.dynamodb import to_item
from infra.local.emulator import Emulator
from infra.local.provision import provision
from infra.local.stack import adopted
from infra.metering import Units
from infra.pacing import Pace
from infra.settings import from_environment
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.leveling import level
from projections.projection import Projection
from projections.rebuild import Progress

COMMITS = 20_000
_BATCH = 25


def figures() -> list[Figure]:
    """Of the jobs and of the credits read model."""
    with _stage() as (application, emulator):
        commits = _whole_users(commits_of_users())
        _seed(application, commits)
        level(application.operating, application.clock.now)
        return [
            figure
            for projection in (JOBS_VIEW, CREDITS_VIEW)
            for figure in _rebuilt(application, emulator, projection, len(commits))
        ]


def _rebuilt(
    application: Application, emulator: Emulator, projection: Projection[Any], commits: int
) -> list[Figure]:
    pace, folded = Pace(), Units()
    began: dict[str, float] = {}

    def heard(progress: Progress) -> None:
        if progress.phase not in began:
            began[progress.phase] = time.perf_counter()
            if progress.phase == "prove":
                folded.reads, folded.writes = pace.spent.reads, pace.spent.writes

    own, theirs = time.process_time(), _cpu(emulator)
    begun = time.perf_counter()
    report = assemble(application, projection, pace, heard).run()
    wall = time.perf_counter() - begun
    own, theirs = time.process_time() - own, _cpu(emulator) - theirs
    assert report.flipped, report.proof.unexpected
    seconds = began["prove"] - began["fold"]
    name, events = projection.name, report.swept.events
    rows = sum(1 for _ in application.rows.scan(projection.generation(report.generation)))
    share = 1_000_000 / events
    proof = Units(pace.spent.reads - folded.reads, pace.spent.writes - folded.writes)
    return [
        Figure(
            f"{name}: fold {events:,} events of {report.swept.streams:,} streams", events / seconds,
            "events/s", "the emulator's limit",
            f"{wall:.1f} s in all, 3 s of it waiting for caches; CPU of it: ours "
            f"{own / wall:.0%}, the emulator's {theirs / wall:.0%}",
        ),
        Figure(
            f"{name}: fold 1 million events", folded.dollars * share, "$",
            "writes = rows",
            f"{folded.reads * share:,.0f} read units (half of {commits:,} commits in 4 KB)"
            f" x $0.125 and {folded.writes * share:,.0f} write units (KB of {rows:,} rows, "
            "once more per index) x $0.625, per million",
        ),
        Figure(
            f"{name}: prove 1 million events", proof.dollars * share, "$", "",
            f"{proof.reads * share:,.0f} read units (scan of rows, heads of both generations)",
        ),
    ]  # fmt: skip


def _cpu(emulator: Emulator) -> float:
    assert emulator.pid is not None
    return cpu_of({"emulator": emulator.pid})["emulator"]


def _whole_users(commits: Sequence[Commit]) -> list[Commit]:
    """The first COMMITS or so, no stream cut off."""
    kept = list(commits[:COMMITS])
    last = kept[-1].stream
    return kept + [c for c in commits[COMMITS:] if c.stream == last]


def _seed(application: Application, commits: Sequence[Commit]) -> None:
    client, table = application.client("dynamodb"), application.settings.events_table
    for start in range(0, len(commits), _BATCH):
        puts = [{"PutRequest": {"Item": to_item(c)}} for c in commits[start : start + _BATCH]]
        while puts:
            answer = client.batch_write_item(RequestItems={table: puts})
            puts = answer["UnprocessedItems"].get(table, [])


@contextmanager
def _stage() -> Iterator[tuple[Application, Emulator]]:
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        with Emulator(data / "cloud") as emulator:
            named = msgspec.structs.asdict(provision(emulator.access, {"Stage": "bench"}))
            parts = {f"SPLITSOUND_{name.upper()}": str(value) for name, value in named.items()}
            keys = {"SPLITSOUND_KEYS": str(data / "keys")}
            with adopted({**emulator.access.environment(), **parts, **keys}):
                yield Application(from_environment(), "bench"), emulator
