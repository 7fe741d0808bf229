"""``splitsound doctor``: what this machine and the running stack lack, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from handlers.cli import terminal
from handlers.cli.checks import Check, machine, models, stack
from handlers.cli.outcome import FAILED
from handlers.cli.reach import data_option, json_option
from handlers.cli.tables import hanging
from handlers.cli.words import counted, safe

_INDENT = 33
_MARKS = {"ok": ("ok", "green"), "failed": ("FAILED", "bold red"), "skipped": ("skipped", "dim")}


@click.command("doctor")
@json_option
@data_option
def command(as_json: bool, data: Path) -> int:
    """Check the machine and, if a stack is running, the stack.

    Exit code 1 when a check fails; each says what to do.
    """
    checks = list(_all(data, _printer(as_json)))
    failed = [check for check in checks if check.state == "failed"]
    if as_json:
        terminal.emit({"ok": not failed, "checks": checks})
    else:
        verdict = (
            f"{len(failed)} of {counted(len(checks), 'check')} failed."
            if failed
            else "All is well."
        )
        terminal.console().print(f"\n{verdict}", style="bold")
    return FAILED if failed else 0


def _all(data: Path, show: Callable[[Check], None]) -> Iterator[Check]:
    for examine in (machine.examine, models.examine, stack.examine):
        for check in examine(data):
            show(check)
            yield check


def _printer(as_json: bool) -> Callable[[Check], None]:
    if as_json:
        return lambda _: None
    console = terminal.console()

    def show(check: Check) -> None:
        word, style = _MARKS[check.state]
        head = f"  {word:<8}{check.name}"
        hanging(console, head, safe(check.found), _INDENT, mark=style)
        if check.todo:
            hanging(console, "", f"-> {safe(check.todo)}", _INDENT, "yellow")

    return show
