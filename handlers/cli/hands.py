"""What an operator's command needs: who acts, why, and the command given."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

import click

from handlers.cli.outcome import BadInput

if TYPE_CHECKING:
    from commands.dispatch import Command, Position
    from infra.bootstrap import Application

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="Why; it is kept with the fact."
)


conditional_reason_option = click.option(
    "--reason", metavar="TEXT", help="Why, where something is changed; it is kept."
)


def actor() -> str:
    """Who acts: ``cli:<user>@<host>``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = "unknown"
    return f"cli:{user}@{socket.gethostname()}"


def give(parts: Application, command: Command) -> tuple[Position, ...]:
    """Execute it in this operator's name. ``parts`` must be made for writing."""
    from commands import execute
    from domain.commit import Meta

    return execute(parts.context, command, Meta(parts.ids.fresh("cmd"), actor()))


def note(parts: Application, act: str, subject: str, reason: str | None) -> None:
    """Keep who is about to do what and why. Raises BadInput without a reason.

    ``parts`` must be made for writing.
    """
    from commands import NoteAct

    if reason is None:
        raise BadInput("This changes something: say why with --reason; it is kept.")
    give(parts, NoteAct(act, subject, reason))
