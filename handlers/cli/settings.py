"""``splitsound settings``: every variable, what it is, and what it says here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handlers.cli import terminal
from handlers.cli.outcome import FAILED
from handlers.cli.reach import NAMING, data_option, json_option
from handlers.cli.tables import Table, hanging, write
from handlers.cli.words import counted, named, safe

if TYPE_CHECKING:
    from infra.settings import Reading, Setting

_HIDDEN = "(set)"
# What is longer would make the column wider than a window.
_LONGEST_DEFAULT = 30


@click.command("settings")
@json_option
@data_option
def command(as_json: bool, data: Path) -> int:
    """List every variable by what it is about, and check those that are set.

    The values are the environment's, or the running stack's; secrets are never shown. Exit code 1
    when something is wrong: no process would start.
    """
    from infra.settings import read, table

    where, environment = _here(data)
    found = read(environment)
    mistakes = found.mistakes + (found.missing if where else [])
    rows = table()
    if as_json:
        told = [_as_json(row, found) for row in rows]
        terminal.emit({"ok": not mistakes, "settings": told, "mistakes": mistakes})
    else:
        _draw(rows, found, where)
        _tell(mistakes, found.unknown)
    return FAILED if mistakes else 0


def _here(data: Path) -> tuple[str, Mapping[str, str]]:
    """Whose values are shown, empty where no stack is named, and the variables."""
    from infra.local.lock import running
    from infra.local.stack import environment_of

    if not NAMING.isdisjoint(os.environ):
        return "the environment", os.environ
    state = running(data)
    environment = environment_of(data) if state and state.url else {}
    if environment:
        return f"the stack on {named(data)}", environment
    return "", os.environ


def _value(row: Setting, found: Reading) -> str | None:
    """As it may be shown; None where the variable is not set or wrong."""
    value = found.values.get(row.name)
    if value is None:
        return None
    return _HIDDEN if row.secret and value else str(value)


def _as_json(row: Setting, found: Reading) -> dict[str, Any]:
    return {
        "variable": row.variable,
        "group": row.group,
        "what": row.what,
        "allowed": row.allowed,
        "default": row.default,
        "required": row.default is None,
        "secret": row.secret,
        "value": _value(row, found),
    }


def _draw(rows: list[Setting], found: Reading, where: str) -> None:
    console = terminal.console()
    for group, members in groupby(rows, key=lambda row: row.group):
        write(console, f"\n{group}", "bold")
        table = Table("variable", "default", "here", "what it is", below=("here", "what it is"))
        for row in members:
            table.add_row(row.variable, *_cells(row, _value(row, found)))
        table.draw(console)
    told = f"Values are those of {where}" if where else "No stack is named: those set here are told"
    write(console, f"\n{told}; of secrets only that they are set.", "dim")


def _cells(row: Setting, value: str | None) -> tuple[str, str, str]:
    """Default, value where it is another, what it is. A long default goes with the words."""
    default = "required" if row.default is None else str(row.default)
    here = f"= {value}" if value is not None and value != default else ""
    words = [row.what, row.allowed]
    if len(default) > _LONGEST_DEFAULT:
        words.append(f"default {default}")
        default = "see there"
    return default, here, "; ".join(filter(None, words))


def _tell(mistakes: list[str], unknown: list[str]) -> None:
    console = terminal.console()
    for mistake in mistakes:
        hanging(console, "  wrong ", safe(mistake), 9, mark="bold red")
    for variable in unknown:
        hanging(console, "  unknown ", f"{safe(variable)} does nothing", 10, "yellow")
    if mistakes:
        write(console, f"{counted(len(mistakes), 'mistake')}.", "bold")
