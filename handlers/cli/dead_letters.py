"""``splitsound dead-letters``: streams that a read model cannot follow, and messages that died."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.events import render
from handlers.cli.hands import note, reason_option
from handlers.cli.outcome import FAILED, BadInput
from handlers.cli.projections.known import named
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import GLUE, Table, hanging, write
from handlers.cli.words import command_line, counted, safe
from handlers.history import Told, said, stream_name
from infra.clock import stamp

if TYPE_CHECKING:
    from rich.console import Console

    from domain.commit import Commit
    from infra.bootstrap import Application
    from infra.operations import Parked


@click.group("dead-letters")
def command() -> None:
    """Streams that a read model cannot follow, and messages that died.

    A stream whose next commit the read model's code rejects is parked with its later commits, in
    order; every other stream goes on. Mend the code, deploy, redrive.
    """


class Letters(Struct, frozen=True):
    """What waits. queues: about how many messages rest in each queue's dead-letter queue."""

    parked: list[Parked]
    queues: dict[str, int]


@command.command("list")
@click.argument("name", required=False)
@json_option
@data_option
def list_(name: str | None, as_json: bool, data: Path) -> None:
    """List the parked streams, of NAME or of every read model, and what the queues gave up."""
    from handlers.operating.overview import dead_letters
    from handlers.operating.redriving import waiting

    if name is not None:
        named(name)
    parts = application(data)
    letters = Letters(list(waiting(parts.parked, parts.operating, name)), dead_letters(parts))
    if as_json:
        terminal.emit(letters)
        return
    console = terminal.console()
    _list(letters, parts, console, data)
    _tell_queues(letters.queues, console)


def _list(letters: Letters, parts: Application, console: Console, data: Path) -> None:
    if not letters.parked:
        console.print("No stream is parked.")
        return
    table = Table(
        "read model", "stream", "stopped at", "rings to", "tries", "for", "error",
        right=("stopped at", "rings to", "tries", "for"), below=("error",),
    )  # fmt: skip
    now = parts.clock.now()
    for each in letters.parked:
        table.add_row(
            f"{each.projection}@{each.number}", each.stream, f"v{each.version}", f"v{each.last}",
            str(each.tries), terminal.duration((now - each.since) / 1000), each.error,
        )  # fmt: skip
    table.draw(console)
    first = letters.parked[0]
    typed = {"data": other_data(data)}
    show = command_line("dead-letters", "show", first.projection, first.stream, **typed)
    redrive = command_line("dead-letters", "redrive", "--all", **typed, reason="TEXT")
    hanging(
        console, "", f"Look: `{show}`. When the code takes these commits again: `{redrive}`.",
        0, "dim",
    )  # fmt: skip


def _tell_queues(queues: dict[str, int], console: Console) -> None:
    told = ", ".join(f"{name}{GLUE}{count}" for name, count in queues.items())
    if any(queues.values()):
        hanging(
            console, "", f"Messages in the dead-letter queues: {told}. They are answered "
            "within a minute: rows are caught up, what no worker could finish is ended, and "
            "webhooks are made after all.",
            0, "yellow",
        )  # fmt: skip
    else:
        hanging(console, "", f"Messages in the dead-letter queues: {told}.", 0, "dim")


class Letter(Struct, frozen=True):
    """One parked stream. commit: the events of the rejected one; later: commits that wait."""

    parked: Parked
    commit: list[Told]
    later: int


@command.command("show")
@click.argument("name")
@click.argument("stream")
@json_option
@data_option
def show(name: str, stream: str, as_json: bool, data: Path) -> None:
    """Show why NAME cannot follow STREAM: the error, the traceback and the rejected commit."""
    from handlers.operating.redriving import find

    named(name)
    parts = application(data)
    stream = stream_name(stream)
    found = find(parts.parked, parts.operating, name, stream)
    commits = list(parts.store.read(stream))
    letters = [_letter(parked, commits) for parked in found]
    if as_json:
        terminal.emit(letters)
        return
    display = terminal.display(as_json=False)
    for letter, parked in zip(letters, found, strict=True):
        _show(letter, [c for c in commits if c.first == parked.version], display, data)


def _letter(parked: Parked, commits: list[Commit]) -> Letter:
    rejected = [event for c in commits if c.first == parked.version for event in said(c)]
    return Letter(parked, rejected, sum(1 for c in commits if c.first > parked.version))


def _show(letter: Letter, rejected: list[Commit], display: terminal.Display, data: Path) -> None:
    parked, console = letter.parked, display.console
    display.fact("Parked", f"{parked.stream} in {parked.projection}@{parked.number}", "bold")
    display.fact("Since", f"{stamp(parked.since)}; tried {counted(parked.tries, 'time')}, the "
                 f"last at {stamp(parked.changed)}")  # fmt: skip
    display.fact("Error", parked.error, "yellow")
    waits = f"{counted(letter.later, 'later commit')} wait" + ("s" if letter.later == 1 else "")
    display.fact("Waits", f"the row stays at v{parked.version - 1}; {waits} behind this one")
    display.blank()
    for line in parked.traceback.rstrip().splitlines():
        write(console, "    " + safe(line), "dim")
    display.blank()
    if rejected:
        render(parked.stream, rejected, console, footer="the rejected commit, from the store")
    else:
        hanging(console, "", "The store does not have the commit that was rejected.", 0, "yellow")
    display.blank()
    again = command_line(
        "dead-letters", "redrive", parked.projection, parked.stream, data=other_data(data),
        reason="TEXT",
    )  # fmt: skip
    hanging(
        console, "  ", f"Deploy code that takes this commit, then `{again}`. The event itself is a "
        "fact and cannot be changed.", 2,
    )  # fmt: skip


class Redriven(Struct, frozen=True):
    """What redriving a stream did. error: why it still does not follow."""

    projection: str
    number: int
    stream: str
    follows: bool
    error: str | None


@command.command("redrive")
@click.argument("name", required=False)
@click.argument("stream", required=False)
@click.option("--all", "everything", is_flag=True, help="Every parked stream of every read model.")
@reason_option
@json_option
@data_option
def redrive(
    name: str | None, stream: str | None, everything: bool, reason: str, as_json: bool, data: Path
) -> int:
    """Try again to follow the parked streams: all of NAME, or STREAM of it, or --all.

    Each is caught up in order from where it stopped. Exit code 1 when one is still stuck.
    """
    from domain.acts import REDRIVE
    from handlers.operating.redriving import find, waiting

    if (name is None) != everything:
        raise BadInput("Name a read model, or say --all.")
    if name is not None:
        named(name)
    parts = application(data, writing=True)
    if name is not None and stream is not None:
        chosen = find(parts.parked, parts.operating, name, stream_name(stream))
    else:
        chosen = list(waiting(parts.parked, parts.operating, name))
    if chosen:
        note(parts, REDRIVE, "/".join(filter(None, (name, stream))) or "all", reason)
    display = terminal.display(as_json)
    done = _redriven(parts, chosen, display)
    stuck = [each for each in done if not each.follows]
    if as_json:
        terminal.emit(done)
    else:
        _report(done, stuck, display, data)
    return FAILED if stuck else 0


def _redriven(
    parts: Application, chosen: list[Parked], display: terminal.Display
) -> list[Redriven]:
    from domain.errors import SplitSoundError
    from handlers.operating.redriving import redrive as again

    done = []
    with display.bar("Redrive", len(chosen), unit="streams") as bar:
        for count, parked in enumerate(chosen, 1):
            try:
                still = again(parts.parked, parts.operating, parked, parts.clock.now())
                error = still.error if still else None
            except SplitSoundError as failure:
                error = failure.detail
            done.append(
                Redriven(parked.projection, parked.number, parked.stream, error is None, error)
            )
            bar.to(count)
    return done


def _report(
    done: list[Redriven], stuck: list[Redriven], display: terminal.Display, data: Path
) -> None:
    for each in done:
        where = f"{each.stream} in {each.projection}@{each.number}"
        if each.follows:
            display.fact("Follows", where, "green")
        else:
            display.fact("Stuck", f"{where}: {each.error}", "yellow")
    if not done:
        display.fact("Nothing", "no stream is parked")
    if stuck:
        first = stuck[0]
        show = command_line(
            "dead-letters", "show", first.projection, first.stream, data=other_data(data)
        )
        display.fact(
            "Next", f"{counted(len(stuck), 'stream')} still parked, in order, as before. `{show}` "
            "shows the commit that the code that runs here rejects",
        )  # fmt: skip
