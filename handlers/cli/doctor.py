"""``splitsound doctor``: what this machine and the running stack lack, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from handlers.cli import terminal
from handlers.cli.checks import Check, machine, stack
from handlers.cli.outcome import FAILED
from handlers.cli.reach import data_option, json_option

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
        verdict = f"{len(failed)} of {len(checks)} checks failed." if failed else "All is well."
        terminal.console().print(f"\n{verdict}", style="bold")
    return FAILED if failed else 0


def _all(data: Path, show: Callable[[Check], None]) -> Iterator[Check]:
    for examine in (machine.examine, stack.examine):
        for check in examine(data):
            show(check)
            yield check


def _printer(as_json: bool) -> Callable[[Check], None]:
    if as_json:
        return lambda _: None
    from rich.text import Text

    console = terminal.console()

    def show(check: Check) -> None:
        word, style = _MARKS[check.state]
        console.print(Text.assemble("  ", (f"{word:<8}", style), f"{check.name:<22} {check.found}"))
        if check.todo:
            console.print(f"  {'':<8}{'':<22} -> {check.todo}", style="yellow")

    return show
