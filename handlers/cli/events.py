"""``splitsound events``: read a stream; export, import and republish all of them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import msgspec

from domain.commit import Commit
from domain.errors import HistoryBroken, NotFound
from handlers.asof import upto
from handlers.cli import terminal
from handlers.cli.asof import as_of_option
from handlers.cli.outcome import BadInput
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.republish import republish
from handlers.cli.tables import Table, hanging
from handlers.cli.words import counted, named, safe
from handlers.history import StateThen, intact, said, stream_name
from infra.clock import stamp

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST_VALUE = 96  # in a terminal; a pipe gets all of it


@click.group("events")
def command() -> None:
    """Show a stream; export, import and republish events."""


command.add_command(republish)


@command.command("show")
@click.argument("stream")
@as_of_option
@json_option
@data_option
def show(stream: str, as_of: int | None, as_json: bool, data: Path) -> None:
    """Show the events of STREAM, oldest first, the state that they give, and check its chain.

    STREAM is job-..., asset-..., user-..., credits-..., controls-all or acts-all; a job's,
    asset's or user's id alone names its own stream.
    """
    name = stream_name(stream)
    commits, broken = _checked(application(data).store.read(name), as_of)
    if not commits and not broken:
        when = f" at {stamp(as_of)}" if as_of else ""
        raise NotFound(f"There is no stream {name}{when}.")
    then = StateThen(name)
    for commit in commits:
        then.take(commit, commit.last)
    if as_json:
        events = [event for commit in commits for event in said(commit)]
        terminal.emit({
            "stream": name, "verified": not broken, "as_of": stamp(as_of) if as_of else None,
            "events": events, "state": then.told(), "note": then.note,
        })  # fmt: skip
    else:
        console = terminal.console()
        render(name, commits, console)
        state(then, commits, as_of, console)
    if broken:
        raise broken


def _checked(
    commits: Iterable[Commit], as_of: int | None = None
) -> tuple[list[Commit], HistoryBroken | None]:
    """The commits up to then, or up to where the chain breaks, and how it does."""
    good: list[Commit] = []
    try:
        # Checked first: an edited time must not pass for the end. What was good stays in the list.
        good.extend(upto(intact(commits), as_of))
    except HistoryBroken as error:
        return good, error
    return good, None


def render(name: str, commits: list[Commit], console: Console, footer: str = "") -> None:
    """Commits as a table. footer: what to say below; else that the stream's chain is intact."""
    head, clocks = terminal.times([commit.t for commit in commits])
    longest = _LONGEST_VALUE if console.is_terminal else 0
    table = Table(
        "v", head, "after", "event", "what it says", "actor", "hash", "command",
        right=("v", "after"), below=("what it says",), spare=("command", "actor", "hash"),
    )  # fmt: skip
    before = commits[0].t
    for commit, clock in zip(commits, clocks, strict=True):
        after = terminal.duration((commit.t - before) / 1000) if commit.t > before else ""
        before = commit.t
        for event in said(commit):
            table.add_row(
                str(event.version), clock, after, event.type,
                words(event.data, longest), _actor(commit.actor), commit.hash.hex()[:8],
                commit.cmd,
            )  # fmt: skip
    hanging(console, "", safe(name), 0, "bold")
    table.draw(console)
    if footer:
        hanging(console, "", footer, 0, "dim")
        return
    said_in = f"{counted(commits[-1].last, 'event')} in {counted(len(commits), 'commit')}"
    imported = sum(1 for commit in commits if commit.origin)
    note = f", {imported} of them imported or restored" if imported else ""
    hanging(console, "", f"{said_in}{note}; the hash chain holds.", 0, "dim")


def state(then: StateThen, commits: list[Commit], as_of: int | None, console: Console) -> None:
    """The state that the commits give, a field on a line."""
    hanging(console, "", "", 0)
    when = stamp(as_of) if as_of else "now"
    version = commits[-1].last if commits else 0
    hanging(console, "", f"state at {when} (version {version})", 0, "bold")
    fields = then.told()
    if fields is None:
        hanging(console, "", then.note or "", 0, "yellow")
        return
    longest = _LONGEST_VALUE if console.is_terminal else 0
    indent = max(map(len, fields), default=0) + 2
    for field, value in fields.items():
        hanging(console, field, safe(_told(value, longest)), indent)


def _told(value: Any, longest: int) -> str:
    if isinstance(value, dict):
        return words({k: v for k, v in value.items() if k != "type"}, longest) or "none"
    return _short(value, longest) if value not in (None, "", []) else "none"


def words(data: dict[str, Any], longest: int = 0) -> str:
    """An event's fields on one line. longest: values are cut there (0: never)."""
    told = ((k, _short(v, longest)) for k, v in data.items() if k != "user_id" and v is not None)
    return " ".join(f"{name}={text}" for name, text in told)


def _actor(actor: str) -> str:
    """Who; a worker without its host, process and nonce."""
    return actor.partition(":")[0]


def _short(value: Any, longest: int) -> str:
    if isinstance(value, list) and value:
        text = ",".join(_member(v) for v in value)
    else:
        text = _member(value)
    return text if not longest or len(text) <= longest else text[: longest - 1] + "…"


def _member(value: Any) -> str:
    """A stem by its name, a draw as ``grant:credits``."""
    if isinstance(value, dict) and "name" in value:
        return str(value["name"])
    if isinstance(value, list) and value:
        return ":".join(_member(v) for v in value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@command.command("export")
@click.argument("file", default="-", type=click.Path(path_type=Path, dir_okay=False))
@data_option
def export(file: Path, data: Path) -> None:
    """Write every event to FILE as JSON Lines, checking all chains.

    Without FILE, or with `-`, they go to standard output. A file appears under its name only
    when it is complete; a device or a named pipe is written directly.
    """
    from infra.event_store.transfer import export_events

    store = application(data).store
    if str(file) == "-":
        end = export_events(store, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with _counting("Exporting") as progress, _target(file) as out:
            end = export_events(store, out, progress)
    commits, streams = counted(end.commits, "commit"), counted(end.streams, "stream")
    click.echo(f"Exported {commits} of {streams}.", err=True)


@contextmanager
def _target(file: Path) -> Iterator[BinaryIO]:
    """A regular file appears when it is complete; a device or a pipe is written as it is."""
    # A link stays one: what it points to is written.
    file = file.resolve()
    if file.exists() and not file.is_file():
        with file.open("wb") as out:
            yield out
        return
    draft = file.with_name(f".splitsound-{os.getpid()}.part")
    try:
        with draft.open("wb") as out:
            if file.exists():
                os.fchmod(out.fileno(), stat.S_IMODE(file.stat().st_mode))
            yield out
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--origin", default="import", show_default=True, help="How the commits are marked.")
@json_option
@data_option
def import_(file: Path, origin: str, as_json: bool, data: Path) -> None:
    """Write the events of FILE (- for standard input) that the store lacks.

    Imported commits wake no worker and no webhook. Running it again changes nothing.
    """
    from infra.event_store.transfer import import_events

    store = application(data, writing=True).store
    with _source(file) as source, _counting("Importing") as progress:
        imported = import_events(store, source, origin, progress)
    if as_json:
        terminal.emit(imported)
    else:
        new = counted(imported.written, "commit")
        click.echo(f"Imported {new}; {imported.skipped} there already.")


@contextmanager
def _source(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    if not file.exists() or file.is_dir():
        raise BadInput(f"There is no file {named(file)}.")
    with file.open("rb") as source:
        yield source


@contextmanager
def _counting(verb: str) -> Iterator[Any]:
    """A running count on standard error, if somebody watches."""
    console = terminal.console(sys.stderr)
    if not console.is_terminal:
        yield None
        return
    with console.status(verb.lower(), spinner="dots", spinner_style="dim") as status:
        yield lambda count: status.update(f"{verb.lower()}: {counted(count, 'commit')}")
