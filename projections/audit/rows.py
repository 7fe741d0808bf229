"""A ledger event as one row of an export: everything that an auditor's own tools may ask for."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import astuple

from projections.audit.statement import Entry

# A spreadsheet runs a cell of text that begins with one of these.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class LedgerRow(Struct, frozen=True, gc=False):
    """Credits are whole numbers; time in RFC 3339; balances as they stand after the event."""

    time: str
    user_id: str
    stream: str
    version: int
    type: str
    kind: str
    change: int
    amount: int
    available: int
    reserved: int
    captured: int
    expired: int
    revoked: int
    debt: int
    job_id: str | None
    grant_id: str | None
    purchase_id: str | None
    source: str | None
    reason: str
    actor: str
    corr: str
    cause: str
    cmd: str
    hash: str


COLUMNS = LedgerRow.__struct_fields__


def row(entry: Entry, time: str) -> LedgerRow:
    """The row of an entry. time: its commit's."""
    commit, said = entry.commit, entry.said
    return LedgerRow(
        time, said("user_id"), commit.stream, entry.version, type(entry.event).__name__,
        entry.kind, entry.change, entry.amount, entry.available, entry.held, entry.spent,
        entry.expired, entry.revoked, entry.debt, said("job_id"), said("grant_id"),
        said("purchase_id"), said("source"), entry.why, commit.actor, commit.corr, commit.cause,
        commit.cmd, commit.hash.hex(),
    )  # fmt: skip


def cells(told: LedgerRow) -> list[str | int]:
    """A row for CSV: numbers stay numbers, and no text is a formula to a spreadsheet."""
    return [_cell(value) for value in astuple(told)]


def _cell(value: str | int | None) -> str | int:
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return "'" + value
    return "" if value is None else value
