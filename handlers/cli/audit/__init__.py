"""``splitsound audit``: what auditors ask for, from the events alone."""

from __future__ import annotations

import click

from handlers.cli.audit.check import check
from handlers.cli.audit.digest import digest
from handlers.cli.audit.key import key, script
from handlers.cli.audit.prove import prove
from handlers.cli.audit.replay import replay
from handlers.cli.audit.verify import verify


@click.group("audit")
def command() -> None:
    """Sign digests of all histories, and prove an event to somebody who trusts nobody."""


command.add_command(replay)
command.add_command(check)
command.add_command(verify)
command.add_command(digest)
command.add_command(prove)
command.add_command(key)
command.add_command(script)
