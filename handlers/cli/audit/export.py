"""``splitsound audit export``: a period's ledger as files that anybody can check."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from domain.credits import CREDITS
from domain.errors import NotFound
from handlers.cli import terminal
from handlers.cli.asof import Moment
from handlers.cli.audit.known import keys, scanning, trust_option
from handlers.cli.outcome import FAILED, BadInput
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.statements import user_id_of
from handlers.cli.tables import Table
from handlers.cli.words import command_line, counted, named, plain

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from handlers.operating.exporting import Manifest

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("export", short_help="Write a period's ledger as files that can be checked.")
@click.option("--from", "since", type=Moment(begins=True), metavar="TIME",
              help="The period's beginning: 2026-11-01, or 2026-11-01T12:00:00Z.")  # fmt: skip
@click.option("--to", "until", type=Moment(), metavar="TIME",
              help="Its end, inclusive: 2026-11-30 (all of that day), or now.")  # fmt: skip
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where the files go.")
@click.option("--user", metavar="USER", help="Only that account; an id or an e-mail address.")
@click.option("--force", is_flag=True, help="Replace the files of an earlier export in DIR.")
@click.option("--check", "checking", type=_FOLDER, metavar="DIR",
              help="Write nothing; check the export in DIR.")  # fmt: skip
@trust_option
@json_option
@data_option
def export(
    since: int | None,
    until: int | None,
    out: Path | None,
    user: str | None,
    force: bool,
    checking: Path | None,
    trusted: tuple[Path, ...],
    as_json: bool,
    data: Path,
) -> int:
    """Write a period's ledger to DIR: ledger.jsonl, ledger.csv and a signed manifest.json.

    One line per ledger event, with the balances after it, why, by whom, and its commit's hash.
    Every account's chain is checked on the way. The files appear complete or not at all.
    `--check DIR` verifies an export: its signature, its files, and that they say the same; with
    --trust-key it needs no stack.
    """
    display = terminal.display(as_json)
    if checking is not None:
        if since is not None or until is not None or out is not None or user or force:
            raise BadInput("--check DIR stands alone; leave the other options out.")
        return _check(checking, trusted, data, as_json, display)
    if since is None or until is None or out is None:
        raise BadInput("An export needs --from TIME, --to TIME and --out DIR (or --check DIR).")
    manifest = _export(since, until, out, user, force, data, display)
    if as_json:
        terminal.emit({"folder": plain(out), **msgspec.to_builtins(manifest)})
        return FAILED if manifest.wrong else 0
    _tell(manifest, display)
    display.fact("Written", named(out), "green")
    check = command_line("audit", "export", check=str(out), data=other_data(data))
    display.fact("Check it", f"`{check}`")
    return FAILED if manifest.wrong else 0


def _export(
    since: int, until: int, out: Path, user: str | None, force: bool, data: Path, display: Display
) -> Manifest:
    from handlers.operating import exporting

    now = time.time_ns() // 1_000_000
    exporting.require_period(since, until, now)
    parts = application(data)
    user_id = user_id_of(parts, user) if user else None
    if user_id and next(parts.store.read(CREDITS.stream(user_id)), None) is None:
        raise NotFound(f"{user} has no credit account (looked for {user_id}).")
    period = exporting.Period(since, until, user_id)
    with scanning(display, parts.store.estimate() if user is None else 1) as heard:
        return exporting.export(
            parts.store, period, out, parts.digest_signer, parts.settings.events_table, now, heard,
            replace=force,
        )  # fmt: skip


def _check(
    folder: Path, trusted: tuple[Path, ...], data: Path, as_json: bool, display: Display
) -> int:
    from handlers.operating.export_check import checked

    pems = [file.read_bytes() for file in trusted] if trusted else keys(application(data), ())
    manifest = checked(folder, pems)
    if as_json:
        terminal.emit({"right": True, **msgspec.to_builtins(manifest)})
        return 0
    _tell(manifest, display)
    display.fact("Result", "the files are those that were exported, and say the same", "green")
    return 0


def _tell(manifest: Manifest, display: Display) -> None:
    if manifest.sums:
        numbers = ("events", "credits", "change")
        table = Table("kind", *numbers, right=numbers)
        for kind, sums in manifest.sums.items():
            table.add_row(kind, f"{sums.events:,}", f"{sums.amount:,}", f"{sums.change:+,}")
        table.draw(display.console)
        display.blank()
    display.fact("Period", f"{manifest.since} to {manifest.until}")
    whose = manifest.user or counted(manifest.accounts, "account")
    if manifest.events:
        display.fact("Ledger", f"{counted(manifest.events, 'event')} of {whose}")
    else:
        display.fact("Ledger", "nothing happened in this period; the files say so", "yellow")
    if manifest.wrong:
        wrong = f"does not hold at {counted(manifest.wrong, 'event')}; `audit check` names them"
        display.fact("Law", wrong, "bold red")
    display.fact("Made", f"{manifest.made_at}, from {manifest.deployment}")
    display.fact("Signed", f"with the key {manifest.key[:16]}…")
