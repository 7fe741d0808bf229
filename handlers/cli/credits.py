"""``splitsound credits``: an account as its events tell it, whatever the rows say."""

from __future__ import annotations

import time
from pathlib import Path

import click

from handlers.cli import terminal
from handlers.cli.asof import as_of_option
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.statements import account, document, require_lawful, show
from projections.audit.statement import statement


@click.command("credits")
@click.argument("user")
@as_of_option
@json_option
@data_option
def command(user: str, as_of: int | None, as_json: bool, data: Path) -> None:
    """Print the credit statement of USER, an id (usr_...) or an e-mail address.

    It is computed from the events: the hash chain is checked, and at every version the law
    that no credit appears or vanishes. Exit code 1 when either does not hold. `splitsound audit
    replay` shows also who did what, and the commits' hashes.
    """
    user_id, commits = account(application(data), user, as_of)
    done = statement(commits, time.time_ns() // 1_000_000 if as_of is None else as_of)
    if as_json:
        terminal.emit(document(user_id, done))
    else:
        console = terminal.console()
        console.print(f"Credits of {user_id}", style="bold")
        show(done, console)
    require_lawful(done)
