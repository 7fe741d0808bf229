"""``splitsound projections``: how the read models stand; rebuild, verify, go back, drop."""

from __future__ import annotations

import click

from handlers.cli.projections.listing import list_
from handlers.cli.projections.rebuilding import rebuild
from handlers.cli.projections.switching import drop, rollback
from handlers.cli.projections.verifying import verify
from handlers.cli.projections.watching import watch


@click.group("projections")
def command() -> None:
    """See how the read models stand; rebuild, verify, roll back, drop and watch."""


for each in (list_, watch, rebuild, rollback, drop, verify):
    command.add_command(each)
