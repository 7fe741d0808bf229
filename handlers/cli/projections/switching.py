"""``splitsound projections rollback`` and ``drop``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.hands import note, reason_option
from handlers.cli.outcome import Interrupted
from handlers.cli.projections.known import named, pace, paced
from handlers.cli.projections.phases import Phases
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.words import command_line, counted

if TYPE_CHECKING:
    from infra.bootstrap import Application
    from projections.projection import Projection
    from projections.sweeping import Swept


class RolledBack(Struct, frozen=True):
    """before, after: the live generation; code: that built it. absent, behind: rows healed."""

    name: str
    before: int
    after: int
    code: int
    current_code: int
    streams: int
    absent: int
    behind: int
    parked: list[str]


@click.command("rollback")
@click.argument("name")
@reason_option
@click.option("--no-sweep", is_flag=True, help="Do not bring the rows to date afterwards.")
@paced
@json_option
@data_option
def rollback(
    name: str,
    reason: str,
    no_sweep: bool,
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> None:
    """Let queries read the generation of NAME that was live before; at once.

    Then its rows are brought to date by a sweep over all streams: a generation that other code
    built has not been written to since. Run it again to return.
    """
    from domain.acts import ROLL_BACK
    from projections.switching import former, roll_back

    projection, parts = named(name), application(data, writing=True)
    display = terminal.display(as_json)
    reading = parts.operating
    before, number = reading.generations.live(name), former(projection, reading)
    note(parts, ROLL_BACK, f"projection:{name}@{number}", reason)
    live = roll_back(projection, reading, parts.clock.now(), number).live
    display.fact("Before", f"{name}@{before}")
    display.fact("Live", f"{name}@{live.number}, built by code v{live.code}", "green")
    try:
        swept = None if no_sweep else _sweep(
            parts, projection, live.number, throttle, segments, workers, display
        )  # fmt: skip
    except KeyboardInterrupt:
        verify = command_line("projections", "verify", name, data=other_data(data))
        raise Interrupted(
            f"{name}@{live.number} is live, but not all of its rows were brought to date: "
            f"`{verify} --repair --reason TEXT` does that."
        ) from None
    if as_json:
        terminal.emit(_rolled_back(name, before, live, projection.version, swept))
        return
    if swept:
        display.fact("Swept", _healed(swept))
    if live.code != projection.version:
        display.fact(
            "Note", f"the code that runs is v{projection.version}: deploy v{live.code} again too, "
            "or what is committed from now on is shown as the newer code has it", "yellow",
        )  # fmt: skip
    again = command_line("projections", "rollback", name, data=other_data(data), reason="TEXT")
    display.fact("Kept", f"{name}@{before}: `{again}` returns to it")


def _sweep(
    parts: Application,
    projection: Projection[Any],
    number: int,
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    display: terminal.Display,
) -> Swept:
    from handlers.operating.rebuilding import paced as metered
    from projections.crew import Crew
    from projections.rebuild import Progress
    from projections.sweeping import Swept, Target, sweep

    spending = pace(throttle)
    reading, crew = metered(parts, spending), Crew(workers, stopped=spending.release)
    total, swept, scanned = reading.history.estimate(), Swept(), 0
    with Phases(display) as phases:

        def heard(part: Swept) -> None:
            nonlocal scanned
            crew.go_on()
            scanned += part.scanned
            phases(Progress("sweep", scanned, max(total, scanned)))

        target = Target(projection, number)
        for part in crew.run(
            lambda n: sweep((target,), reading, n, segments, heard), range(segments)
        ):
            swept.add(part)
    for stuck in swept.stuck:
        parts.parked.park_stuck(stuck, parts.clock.now())
    return swept


def _rolled_back(name: str, before: int, live: Any, version: int, swept: Swept | None) -> Any:
    return RolledBack(
        name, before, live.number, live.code, version,
        swept.streams if swept else 0, swept.written if swept else 0,
        swept.healed if swept else 0, [s.stream for s in swept.stuck] if swept else [],
    )  # fmt: skip


def _healed(swept: Swept) -> str:
    behind = swept.written + swept.healed
    text = f"{counted(swept.streams, 'stream')}: " + (
        f"{counted(behind, 'row')} had fallen behind and follow again" if behind
        else "all rows were up to date"
    )  # fmt: skip
    return text + (f"; {counted(len(swept.stuck), 'stream')} parked" if swept.stuck else "")


class Dropped(Struct, frozen=True):
    """One generation that is gone. rows, parked: rows, and notes of streams, that were deleted."""

    generation: int
    state: str
    rows: int
    parked: int


@click.command("drop")
@click.argument("name")
@click.option(
    "--generation",
    type=click.IntRange(1),
    metavar="N",
    help="Only that one, also if unfinished or gone.",
)
@reason_option
@json_option
@data_option
def drop(name: str, generation: int | None, reason: str, as_json: bool, data: Path) -> None:
    """Delete generations of NAME that nobody reads: all that are kept or half dropped.

    The live one is never deleted. Killed half-way, the same command goes on. A generation that
    is still being built is only dropped when it is named. So is one that is gone already: rows
    that a frozen process left in it when it went on are deleted.
    """
    from domain.acts import DROP
    from handlers.operating.rebuilding import settle
    from projections.generations import DROPPING, KEPT, first
    from projections.switching import drop as delete
    from projections.switching import require_idle

    projection, parts = named(name), application(data, writing=True)
    display = terminal.display(as_json)
    catalogue = parts.operating.generations.catalogue(name) or first(projection.version)
    known = {g.number: g.state for g in catalogue.generations}
    chosen = [n for n, state in known.items() if state in (KEPT, DROPPING)]
    if generation is not None:
        chosen = [generation]
    dropped = []
    for number in chosen:
        require_idle(projection, parts.operating, number)
        note(parts, DROP, f"projection:{name}@{number}", reason)
        with display.waiting("Drop", f"{name}@{number}, once nobody writes to it"):
            rows = delete(projection, parts.operating, number, settle)
            released = _released(parts, name, number)
        dropped.append(Dropped(number, known.get(number, "gone"), rows, released))
        display.fact("Dropped", _told(name, dropped[-1]))
    if not chosen:
        display.fact("Nothing", f"{name} has no generation but {name}@{catalogue.live.number}")
    if as_json:
        terminal.emit({"name": name, "live": catalogue.live.number, "dropped": dropped})


def _released(parts: Application, name: str, number: int) -> int:
    """Forget which streams waited in a generation that is gone; how many did."""
    waiting = list(parts.parked.list(name, number))
    for parked in waiting:
        parts.parked.release(parked)
    return len(waiting)


def _told(name: str, dropped: Dropped) -> str:
    text = f"{name}@{dropped.generation} ({dropped.state}): {counted(dropped.rows, 'row')}"
    return text + (f", {counted(dropped.parked, 'parked stream')}" if dropped.parked else "")
