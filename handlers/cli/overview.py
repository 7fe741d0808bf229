"""The whole system on one screen: work, queues, read models, and what is not as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from handlers.cli import switches, terminal
from handlers.cli.projections import listing
from handlers.cli.reach import other_data
from handlers.cli.tables import GLUE, hanging
from handlers.cli.terminal import Display
from handlers.cli.words import command_line, counted
from infra.clock import stamp

if TYPE_CHECKING:
    from rich.console import Console

    from handlers.operating.holding import Held
    from handlers.operating.lanes import LaneNow
    from handlers.operating.overview import OpenJob, Operations
    from infra.bootstrap import Application

_STUCK_SHOWN = 5


class Snapshot(Struct, frozen=True):
    """Everything at one moment."""

    operations: Operations
    paused: list[Held]


def take(parts: Application) -> Snapshot:
    """Raises Unavailable, NoStack."""
    from handlers.operating.holding import held
    from handlers.operating.overview import operations

    return Snapshot(operations(parts), held(parts))


def draw(snapshot: Snapshot, console: Console, data: Path) -> None:
    """What one looks at first on top; what to do at the bottom."""
    now = snapshot.operations
    display = Display(console)
    advice = [*listing.advice(now.health, data), *_advice(now, data)]
    well = not advice and not snapshot.paused
    word = "everything is as it should be" if well else "something needs a hand, see below"
    display.fact("Now", f"{stamp(now.time)[11:19]}{GLUE}UTC, {word}", "green" if well else "yellow")
    projector = now.health.projector
    silent = "never heard of"
    if projector.silent_ms is not None:
        silent = f"last heard of {terminal.duration(projector.silent_ms / 1000)} ago"
    display.fact(
        "Projector", f"{'alive' if projector.alive else 'NOT ALIVE'}, {silent}",
        "green" if projector.alive else "bold red",
    )  # fmt: skip
    display.fact("Jobs", _jobs(now), "yellow" if now.stuck else "")
    display.fact("Lanes", _lanes(now))
    display.fact("Queues", _queues(now))
    if now.failures:
        codes = ", ".join(f"{code}{GLUE}{count}" for code, count in now.failures.items())
        display.fact("Failures", f"{codes} (jobs of today and yesterday)")
    display.blank()
    listing.table(now.health).draw(console)
    if snapshot.paused:
        display.blank()
        switches.table(snapshot.paused).draw(console)
    if advice:
        display.blank()
    for line in advice:
        hanging(console, "  ", line, 2, "yellow")


def _jobs(now: Operations) -> str:
    text = f"{now.queued} queued, {now.running} running"
    if now.oldest:
        text += f", the oldest open for {terminal.duration(now.oldest.waited_ms / 1000)}"
    return f"{text}, {(now.stuck and len(now.stuck)) or 0} stuck"


def _lanes(now: Operations) -> str:
    told = {name: _lane(lane) for name, lane in now.lanes.items()}
    # Lanes of which the same is to be said are said together.
    alike: dict[str, list[str]] = {}
    for name, text in told.items():
        alike.setdefault(text, []).append(name)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in alike.items())


def _lane(lane: LaneNow) -> str:
    workers = counted(lane.workers, "worker") if lane.workers else "no worker"
    if not lane.queued + lane.running:
        return f"idle, {workers}"
    text = f"{lane.queued}{GLUE}queued, {lane.running}{GLUE}running, {workers}"
    if lane.free_seconds:
        text += f", free in about {terminal.duration(lane.free_seconds)}"
    return text


def _queues(now: Operations) -> str:
    told = [f"{name}{GLUE}{depth}" for name, depth in now.queues.items()]
    dead = [f"{name}{GLUE}{count}{GLUE}dead" for name, count in now.dead_letters.items() if count]
    return ", ".join((*told, *dead))


def _advice(now: Operations, data: Path) -> list[str]:
    typed = {"data": other_data(data)}
    lines = [_unserved(name, lane) for name, lane in now.lanes.items() if _waits_in_vain(lane)]
    lines += [_stuck(job, typed) for job in now.stuck[:_STUCK_SHOWN]]
    if len(now.stuck) > _STUCK_SHOWN:
        lines.append(f"... and {counted(len(now.stuck) - _STUCK_SHOWN, 'more stuck job')}.")
    return lines


def _waits_in_vain(lane: LaneNow) -> bool:
    return bool(lane.queued) and not lane.workers


def _unserved(name: str, lane: LaneNow) -> str:
    waits = "1 job waits" if lane.queued == 1 else f"{lane.queued} jobs wait"
    return (
        f"{waits} in the lane {name}, and no worker that lives serves it: start one whose "
        f"SPLITSOUND_LANES name {name}, or see why there is none."
    )


def _stuck(job: OpenJob, typed: dict[str, Path | None]) -> str:
    again = command_line("jobs", "requeue", job.job_id, **typed)
    silent = terminal.duration(job.silent_ms / 1000)
    return (
        f"{job.job_id} ({job.model}) is {job.status} and silent for {silent}, attempt "
        f"{job.attempt}. The sweeper rings again by itself; `{again} --reason TEXT` does it now."
    )
