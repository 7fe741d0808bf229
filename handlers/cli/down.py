"""``splitsound down``: stop what ``up`` keeps running."""

from __future__ import annotations

from pathlib import Path

import click

from handlers.cli.reach import data_option
from handlers.cli.words import named


@click.command("down")
@data_option
def command(data: Path) -> None:
    """Stop the stack that runs on the data directory; everything in it stays.

    When none is running there is nothing to do, and that is fine.
    """
    from infra.local.lock import take_down

    stopped = take_down(data)
    if stopped is None:
        click.echo(f"No stack is running on {named(data)}.")
    else:
        where = f" at {stopped.url}" if stopped.url else ""
        click.echo(
            f"Stopped the stack{where} (pid {stopped.pid}). Its data stays in {named(data)}."
        )
