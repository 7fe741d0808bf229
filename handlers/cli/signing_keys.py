"""``splitsound keys``: the keys that sign access tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.cli import terminal
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.tables import Table
from infra.clock import stamp

if TYPE_CHECKING:
    from infra.identity import SigningKey


@click.group("keys")
def command() -> None:
    """See and change the keys that sign access tokens. Nobody is signed out by it."""


@command.command("list")
@json_option
@data_option
def list_keys(as_json: bool, data: Path) -> None:
    """List the keys in the order in which they sign."""
    keys = application(data).identity.signing_keys
    _show(keys.published(), keys.signing().kid, as_json)


@command.command("rotate")
@json_option
@data_option
def rotate(as_json: bool, data: Path) -> None:
    """Make a new key. It is published at once and signs ten minutes later.

    By then whoever verifies our tokens has it. The old one goes on verifying what it signed, and is
    destroyed at the next rotation after the last of that has expired.
    """
    keys = application(data, writing=True).identity.signing_keys
    made = keys.rotate()
    _show(keys.published(), keys.signing().kid, as_json)
    if not as_json:
        when = stamp(1000 * made.signs_from)
        terminal.display(as_json=False).fact("New", f"{made.kid}, signs from {when}")


def _show(keys: list[SigningKey], signing: str, as_json: bool) -> None:
    rows = [
        (each.kid, stamp(1000 * each.signs_from) if each.signs_from else None, state)
        for each, state in zip(keys, _states(keys, signing), strict=True)
    ]
    if as_json:
        names = ("kid", "signs_from", "state")
        terminal.emit([dict(zip(names, row, strict=True)) for row in rows])
        return
    table = Table("kid", "signs from", "state")
    for kid, since, state in rows:
        table.add_row(kid, since or "the beginning", state)
    table.draw(terminal.console())


def _states(keys: list[SigningKey], signing: str) -> list[str]:
    now = [key.kid for key in keys].index(signing)
    return ["verifies" if n < now else "signs" if n == now else "waits" for n in range(len(keys))]
