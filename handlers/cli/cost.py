"""`splitsound cost`: a month's bill on AWS, line by line."""

from __future__ import annotations

import json

import click
import msgspec

from handlers.cli.tables import Table
from handlers.cli.terminal import console


@click.command("cost")
@click.option("--jobs-per-day", "songs", required=True, type=click.FloatRange(min=0))
@click.option("--minutes", default=4.0, type=click.FloatRange(min=0.1), help="Of each song.")
@click.option("--model", default="spleeter-2stems", help="Whose figures; a wrong one lists them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(songs: float, minutes: float, model: str, as_json: bool) -> None:
    """What a month would cost on AWS, and what dominates it.

    Prices and formulas stand in handlers/operating/bill.py; change them there.
    """
    from handlers.operating.bill import PRICED, Asked, bill

    asked = Asked(songs, minutes, model)
    lines = bill(asked)
    total = sum(line.dollars for line in lines)
    if as_json:
        told = {"priced": PRICED, "asked": asked, "month": total, "lines": lines}
        click.echo(json.dumps(msgspec.to_builtins(told)))
        return
    table = Table(
        "line", "quantity", "unit", "USD a month", "share", "formula",
        right=("quantity", "USD a month", "share"), below=("formula",),
    )  # fmt: skip
    for line in lines:
        share = f"{line.dollars / total:.0%}" if total else ""
        table.add_row(
            line.name, f"{line.quantity:,.0f}", line.unit, f"{line.dollars:,.2f}", share,
            line.formula,
        )  # fmt: skip
    table.draw(console())
    each = f", {100 * total / asked.month:,.3f} cents a song" if asked.month else ""
    click.echo(f"\n  Month       {total:,.2f} USD{each} (prices of {PRICED}, us-east-1, on demand)")
    click.echo(f"  Speed       {asked.speed.audio:g} x real time: {asked.speed.measured}")
    dearest = lines[0]
    click.echo(f"  Dominates   {dearest.name}, {dearest.dollars / total:.0%} of it")
