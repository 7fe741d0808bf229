"""``splitsound projections watch``."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from domain.errors import SplitSoundError
from handlers.cli import overview, terminal
from handlers.cli.keys import listening
from handlers.cli.reach import application, data_option, json_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.text import Text

    from infra.bootstrap import Application


@click.command("watch")
@click.option(
    "--every",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Look once and end, as without a terminal.")
@json_option
@data_option
def watch(every: float, once: bool, as_json: bool, data: Path) -> None:
    """Watch the system: lag, backlog, parked streams, rebuilds, queues and jobs, in place.

    q or Ctrl-C ends it. With --json one object a line. While the tables do not answer it says so
    and goes on looking.
    """
    parts = application(data)
    console = terminal.console()
    if once or not (as_json or console.is_terminal):
        snapshot = overview.take(parts)
        if as_json:
            _line(snapshot)
        else:
            overview.draw(snapshot, console, data)
        return
    with listening() as key:
        try:
            if as_json:
                _lines(parts, key, every)
            else:
                _screen(parts, console, key, every, data)
        except KeyboardInterrupt:
            return


def _lines(parts: Application, key: Callable[[float], str], every: float) -> None:
    while True:
        try:
            _line(overview.take(parts))
        except SplitSoundError as error:
            _line({"time": parts.clock.now(), "error": {"code": error.code, "detail": str(error)}})
        if key(every) in ("q", "Q"):
            return


def _line(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def _screen(
    parts: Application, console: Console, key: Callable[[float], str], every: float, data: Path
) -> None:
    from rich.live import Live

    shown = None
    # A screen of its own: what stood in the terminal is there again afterwards.
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                shown = overview.take(parts)
                trouble = ""
            except SplitSoundError as error:
                trouble = str(error)
            live.update(_drawn(shown, trouble, console, every, data), refresh=True)
            if key(every) in ("q", "Q"):
                break
    if shown:
        overview.draw(shown, console, data)


def _drawn(
    shown: overview.Snapshot | None, trouble: str, console: Console, every: float, data: Path
) -> Text:
    """The screen as one text: tables are laid out for the width that it has at this moment."""
    from rich.console import Console
    from rich.text import Text

    page = Console(
        file=io.StringIO(), width=console.width, force_terminal=True, highlight=False,
        color_system="standard" if console.color_system else None, markup=False, emoji=False,
    )  # fmt: skip
    if trouble:
        page.print(f"  {trouble} Looking again every {every:g} s.", style="bold red")
    if shown:
        overview.draw(shown, page, data)
    page.print("\n  q ends", style="dim")
    assert isinstance(page.file, io.StringIO)
    return Text.from_ansi(page.file.getvalue())
