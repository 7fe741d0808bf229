"""``splitsound projections rebuild``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.hands import conditional_reason_option, note
from handlers.cli.outcome import FAILED, Interrupted
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
    from projections.projection import Projection
    from projections.rebuild import Report
    from projections.verify import Difference


class Rebuilt(Struct, frozen=True):
    """What a rebuild did. rows: compared; cpu: of one core, 0..1; folded_before: segments."""

    name: str
    generation: int
    previous: int
    flipped: bool
    resumed: bool
    folded_before: int
    segments: int
    streams: int
    events: int
    parked: list[str]
    rows: int
    intended: list[Difference]
    unexpected: list[Difference]
    seconds: float
    cpu: float
    units: Units
    dollars: float


@click.command("rebuild")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Write nothing: say what would change and cost.")
@click.option("--accept", is_flag=True, help="Switch in spite of unexpected differences.")
@conditional_reason_option
@paced
@json_option
@data_option
def rebuild(
    name: str,
    dry_run: bool,
    accept: bool,
    reason: str | None,
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> int:
    """Fold all streams into a new generation of NAME, prove it, switch to it.

    Queries are answered and events are taken all the while, and nothing but rows is written. The
    new rows are compared with the live ones; differences that the code does not declare stop the
    switch (exit code 1) until --accept. Killed or interrupted, the same command goes on. The old
    generation is kept: `rollback` goes back to it, `drop` deletes it.
    """
    from domain.acts import ACCEPT, REBUILD

    projection = named(name)
    parts = application(data, writing=not dry_run)
    if dry_run:
        from handlers.cli.projections.rehearsing import show

        return show(parts, projection, throttle, segments, workers, as_json, data)
    note(parts, ACCEPT if accept else REBUILD, f"projection:{name}", reason)
    display = terminal.display(as_json)
    done = _run(parts, projection, throttle, segments, workers, accept, display, data)
    if as_json:
        terminal.emit(done)
    else:
        _tell(done, display, data)
    return 0 if done.flipped else FAILED


def _run(
    parts: Application,
    projection: Projection[Any],
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    accept: bool,
    display: Display,
    data: Path,
) -> Rebuilt:
    from handlers.operating.rebuilding import assemble, has_ended
    from projections.generations import LEASE_MS

    spending = pace(throttle)
    before = parts.operating.generations.catalogue(projection.name)
    build = before.build if before else None
    folded = len(build.done) if build else 0
    if build and folded and (has_ended(build.owner) or parts.clock.now() - build.beat >= LEASE_MS):
        what = f"{folded} of {build.segments} parts were folded by an earlier run"
        display.fact("Going on", f"{projection.name}@{build.number}: {what}")
    began, cpu = time.monotonic(), time.process_time()
    with Phases(display) as phases:
        work = assemble(parts, projection, spending, phases, segments=segments, workers=workers)
        try:
            report = work.run(accept=accept)
        except KeyboardInterrupt:
            raise _interrupted(parts, projection.name, data) from None
    took = time.monotonic() - began
    return _rebuilt(report, folded, segments, took, time.process_time() - cpu, spending.spent)


def _interrupted(parts: Application, name: str, data: Path) -> Interrupted:
    catalogue = parts.operating.generations.catalogue(name)
    build = catalogue.build if catalogue else None
    done = f" with {len(build.done)} of {build.segments} parts folded" if build else ""
    typed = {"data": other_data(data), "reason": "TEXT"}
    again = command_line("projections", "rebuild", name, **typed)
    give_up = command_line("projections", "drop", name, generation=build and build.number, **typed)
    return Interrupted(
        f"Stopped{done}; queries read the same rows as before. `{again}` goes on from there, "
        f"`{give_up}` gives it up."
    )


def _rebuilt(
    report: Report, folded: int, segments: int, seconds: float, cpu: float, units: Units
) -> Rebuilt:
    swept, proof = report.swept, report.proof
    return Rebuilt(
        report.name, report.generation, report.previous, report.flipped, report.resumed,
        folded, segments, swept.streams, swept.events, [s.stream for s in swept.stuck],
        proof.rows, in_order(proof.intended), in_order(proof.unexpected),
        round(seconds, 3), round(cpu / seconds, 3), units, units.dollars,
    )  # fmt: skip


def _tell(done: Rebuilt, display: Display, data: Path) -> None:
    name, new, old = done.name, f"{done.name}@{done.generation}", f"{done.name}@{done.previous}"
    took = terminal.duration(done.seconds)
    what = f"{done.events:,} events of {counted(done.streams, 'stream')}"
    if done.resumed:
        what = (
            f"{what}, besides what an earlier run did"
            if done.events
            else "an earlier run did it all"
        )
    display.fact("Folded", f"{new}: {what}, in {took}")
    rate = f"{done.events / done.seconds:,.0f} events/s over all" if done.events else "no events"
    display.fact("Speed", f"{rate}; our own CPU was busy for {done.cpu:.0%} of that time")
    display.fact("Cost", cost(done.units))
    if done.parked:
        see = command_line("dead-letters", "list", name, data=other_data(data))
        streams = counted(len(done.parked), "stream")
        display.fact("Parked", f"{streams} cannot be followed; `{see}` says why", "yellow")
    display.fact("Proof", proof_of(done.rows, old, done.intended, done.unexpected))
    if done.unexpected and not done.flipped:
        display.blank()
        differing.draw(done.unexpected, display.console, new, old)
        display.blank()
    if done.flipped:
        _switched(done, display, data)
    else:
        _refused(done, display, data)


def proof_of(rows: int, old: str, intended: list[Difference], unexpected: list[Difference]) -> str:
    """One sentence about a comparison."""
    text = f"{counted(rows, 'row')} compared with {old}"
    if intended:
        text += f"; {differing.wrong(intended)} as intended ({differing.fields(intended)})"
    if unexpected:
        text += f"; {differing.wrong(unexpected)} that nobody declared"
        return f"{text} ({differing.fields(unexpected)})"
    return text + ("; nothing else differs" if intended else "; they say the same")


def _switched(done: Rebuilt, display: Display, data: Path) -> None:
    typed = {"data": other_data(data), "reason": "TEXT"}
    back = command_line("projections", "rollback", done.name, **typed)
    delete = command_line("projections", "drop", done.name, **typed)
    accepted = f", with {differing.wrong(done.unexpected)} accepted" if done.unexpected else ""
    display.fact("Live", f"{done.name}@{done.generation}, from now on{accepted}", "green")
    display.fact(
        "Kept", f"{done.name}@{done.previous}: `{back}` goes back to it, `{delete}` deletes it"
    )


def _refused(done: Rebuilt, display: Display, data: Path) -> None:
    name, typed = done.name, {"data": other_data(data), "reason": "TEXT"}
    accept = command_line("projections", "rebuild", name, **typed)
    give_up = command_line("projections", "drop", name, generation=done.generation, **typed)
    hanging(
        display.console, "  ",
        f"Not switched: queries still read {name}@{done.previous}. If the new rows are right, "
        f"`{accept} --accept` switches. If not, `{give_up}` gives them up. If the code is meant "
        "to change those fields, declare them in the projection's `changes`.", 2, "yellow",
    )  # fmt: skip
