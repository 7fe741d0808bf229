"""Differences between rows, as a table and as counts per field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from handlers.cli.tables import Table
from handlers.cli.words import counted

if TYPE_CHECKING:
    from rich.console import Console

    from projections.verify import Difference

SHOWN = 50
_LONGEST = 120  # in a terminal; a pipe gets all of it


def in_order(found: Sequence[Difference]) -> list[Difference]:
    """Stream by stream: segments are done in any order."""
    return sorted(found, key=lambda each: (each.stream, each.key, each.field))


def draw(found: Sequence[Difference], console: Console, expected: str, actual: str) -> None:
    """The first SHOWN of them. expected, actual: who says so, ``the events`` and ``the row``."""
    table = Table("stream", "row", "field", "difference", below=("difference",))
    longest = _LONGEST if console.is_terminal else 0
    for each in found[:SHOWN]:
        says = f"{expected}: {_value(each.expected, longest)}"
        but = f"{actual}: {_value(each.found, longest)}"
        table.add_row(each.stream, each.key, each.field, f"{says}, {but}")
    table.draw(console)
    if len(found) > SHOWN:
        console.print(
            f"... and {len(found) - SHOWN:,} more; --json prints all of them", style="dim"
        )


def fields(found: Sequence[Difference]) -> str:
    """``body.free 12, body.requeues 3``."""
    from projections.proof import summary

    counts = sorted(summary(found).items(), key=lambda item: -item[1])
    return ", ".join(f"{field} {number:,}" for field, number in counts)


def wrong(found: Sequence[Difference]) -> str:
    """``3 differences in 2 streams``."""
    streams = len({each.stream for each in found})
    return f"{counted(len(found), 'difference')} in {counted(streams, 'stream')}"


def _value(value: Any, longest: int) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text or "empty"
    return text if not longest or len(text) <= longest else text[: longest - 1] + "…"
