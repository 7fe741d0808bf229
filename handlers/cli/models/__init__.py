"""``splitsound models``: what is offered here; checkpoints added and checked. Needs no stack."""

from __future__ import annotations

import click

from handlers.cli.models.adding import add
from handlers.cli.models.checking import check
from handlers.cli.models.listing import list_


@click.group("models")
def command() -> None:
    """List the models that are offered here, add checkpoints, check them all.

    The store of your own checkpoints is a directory or s3://bucket/prefix, named by
    SPLITSOUND_MODELS. No stack has to run.
    """


for each in (list_, add, check):
    command.add_command(each)
