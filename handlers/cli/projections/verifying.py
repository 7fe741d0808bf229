"""``splitsound projections verify``."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.hands import conditional_reason_option, note
from handlers.cli.outcome import FAILED
from handlers.cli.projections import differing
from handlers.cli.projections.differing import in_order
from handlers.cli.projections.known import cost, named, pace, paced
from handlers.cli.projections.phases import Phases
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import hanging
from handlers.cli.words import command_line, counted

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from infra.bootstrap import Application
    from infra.metering import Units
    from infra.pacing import Pace
    from projections.projection import Projection
    from projections.verify import Difference


class Verified(Struct, frozen=True):
    """What verify found. right: the rows say now what the events say. share: 0..1, of all."""

    name: str
    generation: int
    share: float
    streams: int
    events: int
    differences: list[Difference]
    repaired: int
    right: bool
    seconds: float
    units: Units


@click.command("verify")
@click.argument("name")
@click.option("--repair", is_flag=True, help="Fold anew what differs, delete what no event says.")
@conditional_reason_option
@click.option(
    "--sample",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    help="Only about so much of it, chosen at random.",
)
@paced
@json_option
@data_option
def verify(
    name: str,
    repair: bool,
    reason: str | None,
    sample: float | None,
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> int:
    """Fold every stream of NAME again and compare with its rows.

    Exit code 1 when a row differs, unless --repair put all of them right.
    """
    from domain.acts import REPAIR

    projection, parts = named(name), application(data, writing=repair)
    if repair:
        note(parts, REPAIR, f"projection:{name}", reason)
    display = terminal.display(as_json)
    share = 1.0 if sample is None else sample / 100
    # A small sample needs small parts.
    segments = max(segments, min(4096, round(4 / share))) if sample is not None else segments
    verified = _run(parts, projection, pace(throttle), segments, workers, repair, share, display)
    if as_json:
        terminal.emit(verified)
    else:
        _tell(verified, parts, display, data)
    return 0 if verified.right else FAILED


def _run(
    parts: Application,
    projection: Projection[Any],
    spending: Pace,
    segments: int,
    workers: int,
    repair: bool,
    share: float,
    display: Display,
) -> Verified:
    from handlers.operating.rebuilding import paced as metered
    from projections.checking import Check, Checked, pick
    from projections.crew import Crew
    from projections.rebuild import Progress
    from projections.sweeping import Target

    reading, crew = metered(parts, spending), Crew(workers, stopped=spending.release)
    number = reading.generations.live(projection.name)
    check = Check(Target(projection, number), reading, parts.clock.now, repair=repair)
    chosen = list(range(segments))
    if share < 1:
        chosen = list(pick(segments, share, random.sample))
    total = reading.history.estimate() * len(chosen) // segments
    began, scanned = time.monotonic(), 0
    streams, rows = Checked(), Checked()
    with Phases(display) as phases:

        def heard(part: Checked) -> None:
            nonlocal scanned
            crew.go_on()
            scanned += part.scanned
            phases(Progress("verify", scanned, max(total, scanned)))

        for part in crew.run(lambda n: check.streams(n, segments, heard), chosen):
            streams.add(part)
        for part in crew.run(lambda n: check.rows(n, segments), chosen):
            rows.add(part)
    wrong = len({d.stream for d in streams.differences}) + len(rows.differences)
    repaired = streams.repaired + rows.repaired
    return Verified(
        projection.name, number, len(chosen) / segments, streams.streams, streams.events,
        in_order(streams.differences + rows.differences), repaired, repaired >= wrong,
        round(time.monotonic() - began, 3), spending.spent,
    )  # fmt: skip


def _tell(done: Verified, parts: Application, display: Display, data: Path) -> None:
    where = f"{done.name}@{done.generation}"
    if done.differences:
        differing.draw(done.differences, display.console, "events", "row")
        display.blank()
    what = f"{done.events:,} events of {counted(done.streams, 'stream')}"
    if done.share < 1:
        what += f", a sample of {done.share:.0%}"
    display.fact("Verified", f"{where}: {what} in {terminal.duration(done.seconds)}")
    display.fact("Cost", cost(done.units))
    if not done.streams and done.share < 1:
        display.fact("Result", "no stream fell into the sample; take a larger one", "yellow")
        return
    if not done.differences:
        display.fact("Result", "the rows say what their events say", "green")
        return
    found = differing.wrong(done.differences)
    if done.right:
        display.fact("Result", f"{found}, and all put right", "green")
        return
    display.fact("Result", f"{found} ({differing.fields(done.differences)})", "yellow")
    hanging(display.console, "  ", _next(done, parts, data), 2)


def _next(done: Verified, parts: Application, data: Path) -> str:
    """What to do about rows that differ."""
    from domain.controls import of_projection
    from handlers.operating.redriving import waiting

    typed = {"data": other_data(data)}
    verify = command_line("projections", "verify", done.name, **typed)
    repair = f"{verify} --repair --reason TEXT"
    if of_projection(done.name) in parts.switchboard.state().paused:
        return f"{done.name} is paused, so its rows fall behind until it is resumed."
    parked = {p.stream for p in waiting(parts.parked, parts.operating, done.name)}
    if parked & {d.stream for d in done.differences}:
        see = command_line("dead-letters", "list", done.name, **typed)
        return f"Some of these streams are parked; `{see}` says why, and what to do."
    if done.repaired:
        return f"{done.repaired} were put right and the rest were not; run `{repair}` again."
    rebuild = command_line("projections", "rebuild", done.name, **typed)
    return (
        f"`{repair}` folds these streams anew. If most rows differ, the code has changed: "
        f"`{rebuild} --dry-run` says what a rebuild would do."
    )
