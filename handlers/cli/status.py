"""``splitsound status``: the whole system on one screen, once."""

from __future__ import annotations

from pathlib import Path

import click

from handlers.cli import overview, terminal
from handlers.cli.reach import application, data_option, json_option


@click.command("status")
@json_option
@data_option
def command(as_json: bool, data: Path) -> None:
    """Show work, queues, read models and what is paused; what needs a hand comes last.

    `splitsound projections watch` shows the same, again and again.
    """
    snapshot = overview.take(application(data))
    if as_json:
        terminal.emit(snapshot)
    else:
        overview.draw(snapshot, terminal.console(), data)
