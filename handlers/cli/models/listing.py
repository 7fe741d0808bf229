"""``splitsound models list``."""

from __future__ import annotations

import click

from handlers.cli import terminal
from handlers.cli.models.offered import Offer, offers, store_option
from handlers.cli.outcome import FAILED
from handlers.cli.reach import json_option
from handlers.cli.tables import Table, hanging
from handlers.cli.words import command_line, safe

_FINE = {"built in", "verified", "not fetched", "hosted"}


@click.command("list", short_help="List the models and how their files stand.")
@json_option
@store_option
def list_(as_json: bool, location: str) -> int:
    """List what is offered here: stems, price, size, and whether the files are all right.

    Exit code 1 when files are missing or not the ones that models.json lists.
    """
    display = terminal.display(as_json)
    with display.waiting("models", "reading and verifying the files"):
        found = [(offer, offer.state()) for offer in offers(location)]
    bad = [(offer, state) for offer, state in found if state not in _FINE]
    if as_json:
        terminal.emit({"store": location or None, "models": [_row(*each) for each in found]})
        return FAILED if bad else 0
    console = terminal.console()
    _table(found).draw(console)
    console.print()
    for offer, state in bad:
        hanging(console, "  ", f"{offer.model.name}: {state}.", 2, "yellow")
    below = f"Your store is {safe(location)}." if location else _invitation()
    hanging(console, "  ", below, 2, "dim")
    return FAILED if bad else 0


def _table(found: list[tuple[Offer, str]]) -> Table:
    table = Table(
        "name", "architecture", "stems", "credits/s", "size", "state",
        right=("credits/s", "size"), below=("stems",), spare=("architecture", "size"),
    )  # fmt: skip
    for offer, state in found:
        model = offer.model
        table.add_row(
            model.name,
            offer.architecture + (" (GPU)" if model.gpu else ""),
            ", ".join(model.stems) + (" (by prompt)" if model.takes_prompt else ""),
            model.credits_per_second,
            "" if offer.bytes is None else terminal.size(offer.bytes),
            state if state in _FINE else "FAILED",
        )
    return table


def _row(offer: Offer, state: str) -> dict[str, object]:
    model = offer.model
    return {
        "name": model.name,
        "title": model.title,
        "architecture": offer.architecture,
        "stems": model.stems,
        "credits_per_second": model.credits_per_second,
        "takes_prompt": model.takes_prompt,
        "gpu": model.gpu,
        "version": model.version,
        "bytes": offer.bytes,
        "where": offer.where,
        "ok": state in _FINE,
        "state": state,
    }


def _invitation() -> str:
    return (
        f"Checkpoints of your own (HTDemucs, RoFormer): `{command_line('models', 'add')} --help`, "
        "then set SPLITSOUND_MODELS."
    )
