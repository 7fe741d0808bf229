"""``splitsound projections list``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.cli import terminal
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import GLUE, Table, hanging
from handlers.cli.words import command_line, counted
from projections.generations import BUILDING, DROPPING, LEASE_MS, LIVE

if TYPE_CHECKING:
    from handlers.operating.overview import Health, ProjectionHealth


@click.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path) -> None:
    """List the read models: generations, age of the newest commit applied, what needs a hand."""
    from handlers.operating.overview import health

    found = health(application(data))
    if as_json:
        terminal.emit(found.projections)
        return
    console = terminal.console()
    table(found).draw(console)
    for line in advice(found, data):
        hanging(console, "  ", line, 2)


def table(found: Health) -> Table:
    """One line for each read model."""
    known = ["name", "code", "live", "other generations", "newest commit", "lag", "parked", "state"]
    if not any(map(others, found.projections)):
        known.remove("other generations")
    drawn = Table(*known, right=("code", "lag", "parked"), below=("other generations",))
    for each in found.projections:
        cells = {
            "name": each.name,
            "code": f"v{each.version}",
            "live": f"{each.name}@{each.generation}",
            "other generations": others(each),
            "newest commit": "none lately" if each.age_ms is None else f"{age(each.age_ms)} ago",
            "lag": "" if each.lag_ms is None else terminal.duration(each.lag_ms / 1000),
            "parked": str(each.parked),
            "state": state(each),
        }
        drawn.add_row(*(cells[column] for column in known))
    return drawn


def others(each: ProjectionHealth) -> str:
    """``@2 kept (code v1)``; what a rebuild fills is told of as its progress."""
    return ", ".join(
        f"@{g.number}{GLUE}{g.state}"
        + (f"{GLUE}(code{GLUE}v{g.code})" if g.code != each.version else "")
        for g in each.generations
        if g.state not in (LIVE, BUILDING) or (g.state == BUILDING and not each.rebuild)
    )


def state(each: ProjectionHealth) -> str:
    """The first thing that an operator should know."""
    if each.rebuild:
        done = f"@{each.rebuild.number} {each.rebuild.done:.0%} folded"
        return f"rebuilding {done}" if each.rebuild.silent_ms < LEASE_MS else f"unfinished: {done}"
    if each.paused is not None:
        return "paused"
    if each.needs_rebuild:
        return "rebuild needed"
    return "parked streams" if each.parked else "ok"


def advice(found: Health, data: Path) -> Iterable[str]:
    """What to do about each that is not as it should be."""
    for each in found.projections:
        yield from _advised(each, other_data(data))
    if not found.projector.alive:
        yield "The projector does not answer: rows fall behind until it runs again."


def _advised(each: ProjectionHealth, data: Path | None) -> Iterable[str]:
    name = each.name
    rebuild = command_line("projections", "rebuild", name, data=data)
    why = "--reason TEXT"
    if each.rebuild and each.rebuild.silent_ms >= LEASE_MS:
        drop = command_line("projections", "drop", name, data=data, generation=each.rebuild.number)
        yield (
            f"{name}: nobody works on the rebuild. `{rebuild} {why}` goes on, "
            f"`{drop} {why}` gives it up."
        )
    elif each.needs_rebuild and not each.rebuild:
        live = next(g for g in each.generations if g.state == LIVE)
        yield (
            f"{name}: its rows were built by code v{live.code} and this is v{each.version}. "
            f"`{rebuild} --dry-run` says what would change."
        )
    for dropping in (g.number for g in each.generations if g.state == DROPPING):
        drop = command_line("projections", "drop", name, data=data)
        yield f"{name}: @{dropping} is being dropped; if nobody is at it, `{drop} {why}` goes on."
    if each.parked:
        see = command_line("dead-letters", "list", name, data=data)
        yield f"{name}: {counted(each.parked, 'stream')} cannot be followed. `{see}` says why."
    if each.paused is not None:
        resume = command_line("resume", f"projection:{name}", data=data)
        yield f"{name}: paused ({each.paused}). `{resume} --reason TEXT` opens it."


def age(milliseconds: int) -> str:
    """How long ago; days where hours are too many."""
    if milliseconds >= 48 * 3600 * 1000:
        return f"{milliseconds // (24 * 3600 * 1000)}{GLUE}days"
    return terminal.duration(milliseconds / 1000)
