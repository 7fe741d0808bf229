"""What an audit found, on the screen and as JSON: findings, credits by source, and money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from domain.money import Money
from handlers.cli.tables import Table, hanging
from projections.audit.totals import SOURCES, Totals, Where
from projections.audit.walking import Finding

if TYPE_CHECKING:
    from rich.console import Console

_MOST_SHOWN = 100
_NUMBERS = ("granted", "available", "held", "spent", "expired", "taken back", "settled")


def draw_findings(findings: Sequence[Finding], console: Console) -> None:
    """A row for each, the first hundred."""
    table = Table("stream", "version", "check", "what is wrong", right=("version",),
                  below=("what is wrong",))  # fmt: skip
    for each in findings[:_MOST_SHOWN]:
        version = str(each.version) if each.version else ""
        table.add_row(each.stream, version, each.kind, each.what)
    table.draw(console)
    if len(findings) > _MOST_SHOWN:
        hanging(console, "", f"and {len(findings) - _MOST_SHOWN} more: --json has all", 0)


def draw_credits(totals: Totals, console: Console) -> None:
    """Where the credits of each source are, and all of them."""
    table = Table("source", *_NUMBERS, "", right=_NUMBERS)
    for source in ordered(totals):
        _row(table, source, totals.sources[source])
    if len(totals.sources) != 1:
        _row(table, "all", totals.whole)
    table.draw(console)
    whole = totals.whole
    adds_up = "each row adds up" if _adds_up(totals) else "a row does NOT add up"
    law = "granted = available + held + spent + expired + taken back + settled"
    hanging(console, "", f"{law}: {adds_up}", 0, "dim" if _adds_up(totals) else "bold red")
    owed = f"open debt of all accounts: {totals.debt}"
    if whole.settled:
        owed += f" (settled so far: {whole.settled:,})"
    hanging(console, "", owed, 0, "yellow" if totals.debt else "dim")


def _row(table: Table, name: str, where: Where) -> None:
    off = f"off by {where.off:+,}" if where.off else ""
    table.add_row(name, *(f"{number:,}" for number in msgspec.structs.astuple(where)), off)


def draw_money(totals: Totals, console: Console) -> None:
    """Paid, taken back and kept, by currency; nothing where nobody ever paid."""
    if not totals.money:
        hanging(console, "", "nobody has paid yet", 0, "dim")
        return
    numbers = ("purchases", "paid", "taken back", "kept")
    table = Table("currency", *numbers, right=numbers)
    for currency, money in sorted(totals.money.items()):
        sums = (money.paid, money.taken_back, money.kept)
        table.add_row(
            currency.upper(), str(money.purchases),
            *(str(Money(each, currency)).rpartition(" ")[0] for each in sums),
        )  # fmt: skip
    table.draw(console)
    sold = totals.sold
    agrees = "they agree, purchase by purchase" if not totals.open else "they do NOT agree"
    text = (
        f"purchases sold {sold.sold:,} credits and accounts were granted {sold.granted:,}; "
        f"{sold.due:,} should have been revoked and {sold.revoked:,} were: {agrees}"
    )
    hanging(console, "", text, 0, "dim" if not totals.open else "bold red")


def ordered(totals: Totals) -> list[str]:
    """The sources that there are, in the order of ``SOURCES``."""
    known = {source: place for place, source in enumerate(SOURCES)}
    return sorted(totals.sources, key=lambda source: (known.get(source, len(known)), source))


def _adds_up(totals: Totals) -> bool:
    return not any(where.off for where in totals.sources.values())


def document(totals: Totals) -> dict[str, Any]:
    """The sums as JSON: credits, and money in minor units."""
    return {
        "accounts": totals.accounts,
        "credits": {source: totals.sources[source] for source in ordered(totals)},
        "all": totals.whole,
        "debt": totals.debt,
        "money": {
            currency: {**msgspec.structs.asdict(money), "kept": money.kept}
            for currency, money in sorted(totals.money.items())
        },
        "purchases": {
            "sold": totals.sold.sold,
            "granted": totals.sold.granted,
            "due": totals.sold.due,
            "revoked": totals.sold.revoked,
        },
    }
