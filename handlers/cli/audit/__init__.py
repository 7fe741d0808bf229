"""``splitsound audit``: what auditors ask for, from the events alone."""

from __future__ import annotations

import click

from handlers.cli.audit.check import check
from handlers.cli.audit.digest import digest
from handlers.cli.audit.export import export
from handlers.cli.audit.key import key, script
from handlers.cli.audit.prove import prove
from handlers.cli.audit.replay import replay
from handlers.cli.audit.verify import verify


@click.group("audit")
def command() -> None:
    """Replay accounts, check and verify histories, export ledgers; digests and proofs."""


command.add_command(replay)
command.add_command(check)
command.add_command(verify)
command.add_command(export)
command.add_command(digest)
command.add_command(prove)
command.add_command(key)
command.add_command(script)
