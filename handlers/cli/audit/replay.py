"""``splitsound audit replay``: any account at any time, from its events alone."""

from __future__ import annotations

import time
from pathlib import Path

import click

from domain.credits import CREDITS
from handlers.cli import terminal
from handlers.cli.asof import as_of_option
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.statements import account, document, grants, require_lawful, show
from handlers.cli.tables import hanging
from handlers.cli.words import counted
from infra.clock import stamp
from projections.audit.statement import statement


@click.command("replay", short_help="Rebuild an account at any time from its events alone.")
@click.argument("user")
@as_of_option
@json_option
@data_option
def replay(user: str, as_of: int | None, as_json: bool, data: Path) -> None:
    """Rebuild the account of USER, an id (usr_...) or an e-mail address, from its events.

    One line per event with every balance after it, why and by whom; then the law with its
    numbers, and the grants that still have credits. The chain of hashes is verified, no row and
    no snapshot is read. Exit code 1 when the chain or the law does not hold.
    """
    user_id, commits = account(application(data), user, as_of)
    done = statement(commits, time.time_ns() // 1_000_000 if as_of is None else as_of)
    if as_json:
        terminal.emit(document(user_id, done))
        require_lawful(done)
        return
    console = terminal.console()
    when = "now" if as_of is None else stamp(as_of)
    hanging(console, "", f"Account of {user_id} at {when}", 0, "bold")
    show(done, console, full=True)
    hanging(console, "", "", 0)
    grants(done, console)
    last = done.entries[-1]
    said = f"{counted(last.version, 'event')} of {CREDITS.stream(user_id)}; the hash chain holds, "
    hanging(console, "", said + f"its head is {last.commit.hash.hex()}", 0, "dim")
    require_lawful(done)
