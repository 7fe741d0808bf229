"""``splitsound projections``: list, rebuild and verify the read models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from domain.commit import recorded
from handlers.cli import terminal
from handlers.cli.outcome import FAILED, BadInput
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.tables import Table, hanging
from handlers.cli.words import command_line, counted
from projections.projection import Projection
from projections.verify import Difference, compare, fold

if TYPE_CHECKING:
    from projections.catch_up import Reading

# Projectors look up the live generation at most this often; see handlers/projector.
_SETTLE_SECONDS = 3.0
# How long a row may lag behind its stream before verify calls that a difference.
_LAG_SECONDS = 2.0
_PAGE = 500
_SHOWN = 50


@click.group("projections")
def command() -> None:
    """List, rebuild and verify the read models."""


def named(name: str) -> Projection[Any]:
    """The projection of that name. Raises BadInput."""
    import projections

    if name not in projections.ALL:
        raise BadInput(f"No read model {name!r}; there are {', '.join(projections.ALL)}.")
    return projections.ALL[name]


class Listed(Struct, frozen=True):
    """version: of the code; generation: the live one; streams: in the event store."""

    name: str
    version: int
    generation: int
    category: str
    streams: int


@command.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path) -> None:
    """List the read models, their live generations and how many streams they cover."""
    import projections

    reading = application(data).reading
    counts = _streams_by_category(reading)
    listed = [
        Listed(
            p.name, p.version, reading.generations.live(p.name),
            p.aggregate.category, counts.get(p.aggregate.category, 0),
        )
        for p in projections.ALL.values()
    ]  # fmt: skip
    if as_json:
        terminal.emit(listed)
        return
    table = Table(
        "name", "code version", "live generation", "from", "streams",
        right=("code version", "live generation", "streams"),
    )  # fmt: skip
    for each in listed:
        category = f"{each.category}-*"
        table.add_row(
            each.name, str(each.version), str(each.generation), category, str(each.streams)
        )
    table.draw(terminal.console())


def _streams_by_category(reading: Reading) -> dict[str, int]:
    streams: dict[str, int] = {}
    last = ""
    for commit in reading.history.scan():
        if commit.stream != last:
            last = commit.stream
            category = last.partition("-")[0]
            streams[category] = streams.get(category, 0) + 1
    return streams


@command.command("rebuild")
@click.argument("name")
@json_option
@data_option
def rebuild(name: str, as_json: bool, data: Path) -> None:
    """Fold all streams into a new generation of NAME, switch to it, drop the old one.

    Queries are answered all the while.
    """
    from projections.catch_up import rebuild as run

    projection = named(name)
    reading = application(data).reading
    total = _streams_by_category(reading).get(projection.aggregate.category, 0)
    display = terminal.display(as_json)
    began = time.monotonic()
    with display.bar("Rebuild", total) as bar:

        def settle() -> None:
            bar.to(total, "waiting for the projectors to switch")
            time.sleep(_SETTLE_SECONDS)

        streams = run(projection, reading, settle, lambda n: bar.to(n, "folding"))
    done = {
        "name": name,
        "generation": reading.generations.live(name),
        "streams": streams,
        "seconds": round(time.monotonic() - began, 3),
    }
    if as_json:
        terminal.emit(done)
    else:
        took = terminal.duration(time.monotonic() - began)
        where = f"{name}@{done['generation']}"
        display.fact("Rebuilt", f"{where} from {counted(streams, 'stream')} in {took}")


class Verified(Struct, frozen=True):
    """What verify found."""

    name: str
    generation: int
    streams: int
    differences: list[Difference]


@command.command("verify")
@click.argument("name")
@json_option
@data_option
def verify(name: str, as_json: bool, data: Path) -> int:
    """Fold every stream of NAME again and compare with its rows; changes nothing.

    Exit code 1 when a row differs; then `splitsound projections rebuild NAME`.
    """
    projection = named(name)
    reading = application(data).reading
    display = terminal.display(as_json)
    total = _streams_by_category(reading).get(projection.aggregate.category, 0)
    generation = reading.generations.live(name)
    differences: list[Difference] = []
    checked = 0
    with display.bar("Verify", total) as bar:
        for stream in _streams(projection, reading):
            differences += patiently_compared(projection, reading, generation, stream)
            checked += 1
            bar.to(checked)
    result = Verified(name, generation, checked, differences)
    if as_json:
        terminal.emit(result)
    else:
        _print(result)
    return FAILED if differences else 0


def _streams(projection: Projection[Any], reading: Reading) -> Iterator[str]:
    last = ""
    for commit in reading.history.scan():
        if commit.stream != last and projection.covers(commit.stream):
            last = commit.stream
            yield last


def patiently_compared(
    projection: Projection[Any],
    reading: Reading,
    number: int,
    stream: str,
    patience: float = _LAG_SECONDS,
) -> list[Difference]:
    """The differences of one stream; those that only a lag explains get time to go away."""
    deadline = time.monotonic() + patience
    while True:
        differences = _compared(projection, reading, number, stream)
        if not differences or time.monotonic() >= deadline:
            return differences
        time.sleep(0.2)


def _compared(
    projection: Projection[Any], reading: Reading, number: int, stream: str
) -> list[Difference]:
    generation = projection.generation(number)
    # Rows first: what is committed in between shows as a lag, never as a row from nowhere.
    head = reading.rows.head(generation, stream)
    lines = []
    cursor: str | None = None
    while True:
        page = reading.rows.lines(generation, stream, _PAGE, cursor)
        lines += page.rows
        cursor = page.cursor
        if cursor is None:
            break
    events = recorded(projection.aggregate, reading.history.read(stream))
    return compare(fold(projection, generation, stream, events), head, lines)


def _print(result: Verified) -> None:
    console = terminal.console()
    where = f"{result.name}@{result.generation}"
    if not result.differences:
        streams = counted(result.streams, "stream")
        hanging(console, "", f"{where}: the rows of {streams} say what their events say.", 0)
        return
    table = Table("stream", "row", "field", "events say", "row says")
    for each in result.differences[:_SHOWN]:
        table.add_row(each.stream, each.key, each.field, str(each.expected), str(each.found))
    table.draw(console)
    wrong = len({each.stream for each in result.differences})
    more = len(result.differences) - _SHOWN
    if more > 0:
        console.print(f"... and {more} more; --json prints all of them", style="dim")
    found, streams = (
        counted(len(result.differences), "difference"),
        counted(result.streams, "stream"),
    )
    remedy = command_line("projections", "rebuild", result.name)
    hanging(
        console, "", f"{where}: {found} in {wrong} of {streams}. `{remedy}` repairs the rows.", 0
    )
