"""``splitsound projections rebuild --dry-run``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.outcome import FAILED
from handlers.cli.projections import differing
from handlers.cli.projections.differing import in_order
from handlers.cli.projections.known import cost, pace
from handlers.cli.projections.phases import Phases
from handlers.cli.reach import other_data
from handlers.cli.tables import hanging
from handlers.cli.words import command_line, counted

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from handlers.operating.rehearsing import Rehearsal
    from infra.bootstrap import Application
    from infra.metering import Units
    from projections.projection import Projection
    from projections.verify import Difference


class WouldRebuild(Struct, frozen=True):
    """See Rehearsal. units: reads of this run, and writes that the rebuild would make."""

    name: str
    live: int
    live_code: int
    code: int
    streams: int
    events: int
    rows: int
    units: Units
    dollars: float
    intended: list[Difference]
    unexpected: list[Difference]
    behind: list[Difference]
    parked: dict[str, str]
    seconds: float


def show(
    parts: Application,
    projection: Projection[Any],
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> int:
    """Rehearse and tell; 1 when the rebuild would stop before its switch."""
    from handlers.operating.rehearsing import rehearse

    display = terminal.display(as_json)
    began = time.monotonic()
    with Phases(display) as phases:
        found = rehearse(
            parts, projection, pace(throttle), phases, segments=segments, workers=workers
        )
    would = _would(projection.name, found, time.monotonic() - began)
    if as_json:
        terminal.emit(would)
    else:
        _tell(would, display, data)
    return FAILED if would.unexpected else 0


def _would(name: str, found: Rehearsal, seconds: float) -> WouldRebuild:
    return WouldRebuild(
        name, found.live, found.live_code, found.code, found.streams, found.events, found.rows,
        found.units, found.units.dollars,
        in_order(found.intended), in_order(found.unexpected), in_order(found.behind),
        {s.stream: s.error.detail for s in found.stuck}, round(seconds, 3),
    )  # fmt: skip


def _tell(would: WouldRebuild, display: Display, data: Path) -> None:
    live = f"{would.name}@{would.live}"
    display.fact("Dry run", "nothing was written")
    display.fact("Code", f"v{would.code} now; {live} was built by v{would.live_code}")
    display.fact(
        "Would write", f"{would.rows:,} rows of {counted(would.streams, 'stream')}, from "
        f"{would.events:,} events (folded here in {terminal.duration(would.seconds)})",
    )  # fmt: skip
    display.fact("Cost", cost(would.units, would=True) + "; the proof reads all rows once more")
    if would.behind:
        streams = counted(len({d.stream for d in would.behind}), "live row")
        display.fact("Behind", f"{streams} lag behind the events; a rebuild brings them to date")
    for stream, why in would.parked.items():
        display.fact("Would park", f"{stream}: {why}", "yellow")
    if would.intended:
        intended = f"{differing.wrong(would.intended)}: {differing.fields(would.intended)}"
        display.fact("Intended", intended)
    again = command_line("projections", "rebuild", would.name, data=other_data(data), reason="TEXT")
    if not would.unexpected:
        other = "else " if would.intended else ""
        display.fact("Result", f"nothing {other}would change in {live}; `{again}` does it")
        return
    unexpected = f"{differing.wrong(would.unexpected)}: {differing.fields(would.unexpected)}"
    display.fact("Unexpected", unexpected, "yellow")
    display.blank()
    differing.draw(would.unexpected, display.console, "new code", live)
    display.blank()
    hanging(
        display.console, "  ",
        f"`{again}` would build the new generation and stop before the switch. If {live} is what "
        f"is wrong, go on with --accept; if the code is wrong, mend it first.", 2,
    )  # fmt: skip
