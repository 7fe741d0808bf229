"""Compare the rows that should be there with those that are. Pure; reads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from projections.folding import Folded
from projections.ports import HEAD, Row


class Difference(Struct, frozen=True):
    """A place where a row does not say what the events say; None where there is nothing."""

    stream: str
    key: str
    field: str
    expected: Any
    found: Any


def compare(folded: Folded, head: Row | None, lines: Sequence[Row]) -> list[Difference]:
    """What differs between the rows that should be there and those that are.

    Lines above the head's version are on their way (the head is written last) and no difference.
    """
    reflected = head.version if head else 0
    lines = [row for row in lines if row.version <= reflected or not head]
    wanted = {row.key: row for row in ([folded.head] if folded.head else []) + folded.lines}
    found = {row.key: row for row in ([head] if head else []) + list(lines)}
    differences: list[Difference] = []
    for key in sorted(wanted.keys() | found.keys(), key=lambda k: (k != HEAD, k)):
        differences += _rows_differ(key, wanted.get(key), found.get(key))
    return differences


def _rows_differ(key: str, wanted: Row | None, found: Row | None) -> Iterator[Difference]:
    stream = (wanted or found).stream  # type: ignore[union-attr]  # one of them is a row
    if wanted is None or found is None:
        yield Difference(stream, key, "row", _presence(wanted), _presence(found))
        return
    fields: dict[str, tuple[Any, Any]] = {"version": (wanted.version, found.version)}
    for name in ("owner", "sort", "status"):
        fields[name] = (getattr(wanted, name), getattr(found, name))
    ours, theirs = _body(wanted), _body(found)
    for name in [*ours, *(n for n in theirs if n not in ours)]:
        fields[f"body.{name}"] = (ours.get(name), theirs.get(name))
    for name, (expected, actual) in fields.items():
        if expected != actual:
            yield Difference(stream, key, name, expected, actual)


def _presence(row: Row | None) -> str | None:
    return None if row is None else f"version {row.version}"


def _body(row: Row) -> dict[str, Any]:
    try:
        return msgspec.json.decode(row.body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"": row.body}
