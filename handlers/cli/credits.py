"""``splitsound credits``: an account as its events tell it, whatever the rows say."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from domain.aggregate import Recorded
from domain.commit import recorded, verify_chain
from domain.credits import CREDITS, CreditState
from domain.errors import HistoryBroken, NotFound
from handlers.asof import stamp, upto
from handlers.cli import terminal
from handlers.cli.asof import as_of_option
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.tables import GLUE, Table, hanging
from projections.credits import CREDITS_VIEW, AccountView, StatementLine

if TYPE_CHECKING:
    from rich.console import Console


class AuditLine(Struct, frozen=True):
    """A statement line and every balance after it, in credits."""

    line: StatementLine
    available: int
    reserved: int
    captured: int
    expired: int
    granted: int

    @property
    def balanced(self) -> bool:
        """granted = available + reserved + captured + expired."""
        return self.granted == self.available + self.reserved + self.captured + self.expired


class Audit(Struct, frozen=True):
    """A whole account. spendable: at the asked time, without grants that are over by then."""

    lines: list[AuditLine]
    spendable: int

    @property
    def unbalanced(self) -> list[int]:
        """Versions at which the invariant does not hold."""
        return [a.line.version for a in self.lines if not a.balanced]


def audit(events: Iterable[Recorded], at: int) -> Audit:
    """Fold the events of one account; at: epoch milliseconds, for what has expired."""
    view = AccountView()
    lines = []
    for event in events:
        for line in CREDITS_VIEW.apply(view, event):
            assert isinstance(line, StatementLine)
            lines.append(_balances(line, view.account))
    return Audit(lines, view.account.available(at))


def _balances(line: StatementLine, account: CreditState) -> AuditLine:
    left = sum(grant.left for grant in account.grants.values())
    return AuditLine(
        line, left, account.reserved, account.captured, account.expired, account.granted
    )


@click.command("credits")
@click.argument("user")
@as_of_option
@json_option
@data_option
def command(user: str, as_of: int | None, as_json: bool, data: Path) -> None:
    """Print the credit statement of USER, an id (usr_...) or an e-mail address.

    It is computed from the events, whose hash chain is checked, and the account's invariant
    is checked at every version. Exit code 1 when either does not hold.
    """
    parts = application(data)
    user_id = (
        user
        if user.startswith("usr_")
        else parts.identity.user_id("development", normal_address(user))
    )
    commits = list(upto(parts.store.read(CREDITS.stream(user_id)), as_of))
    if not commits:
        when = f" at {stamp(as_of)}" if as_of else ""
        raise NotFound(f"{user} has no credit account{when} (looked for {user_id}).")
    verify_chain(commits)
    done = audit(recorded(CREDITS, commits), as_of or time.time_ns() // 1_000_000)
    if as_json:
        terminal.emit(_document(user_id, done))
    else:
        console = terminal.console()
        console.print(f"Credits of {user_id}", style="bold")
        show(done, console)
    if done.unbalanced:
        raise HistoryBroken(f"The account does not balance at versions {done.unbalanced}.")


def normal_address(address: str) -> str:
    """The address as sign-in knows it."""
    return address.strip().lower()


def _document(user_id: str, done: Audit) -> dict[str, object]:
    last = done.lines[-1]
    return {
        "user_id": user_id,
        "spendable": done.spendable,
        "granted": last.granted,
        "available": last.available,
        "reserved": last.reserved,
        "captured": last.captured,
        "expired": last.expired,
        "balanced": not done.unbalanced,
        "lines": [
            {
                "version": a.line.version,
                "time": stamp(a.line.time),
                "kind": a.line.kind,
                "change": a.line.change,
                "amount": a.line.amount,
                "available": a.available,
                "reserved": a.reserved,
                "captured": a.captured,
                "expired": a.expired,
                "job_id": a.line.job_id,
                "grant_id": a.line.grant_id,
                "reason": a.line.reason,
            }
            for a in done.lines
        ],
    }


def show(done: Audit, console: Console) -> None:
    """The statement as a table, and the invariant."""
    numbers = ("v", "change", "available", "reserved", "spent", "expired")
    head, clocks = terminal.times([a.line.time for a in done.lines])
    table = Table(
        "v", head, "entry", "change", "available", "reserved", "spent", "expired", "why",
        right=numbers, below=("why",),
    )  # fmt: skip
    for a, clock in zip(done.lines, clocks, strict=True):
        line = a.line
        change = f"{line.change:+d}" if line.change else "0"
        table.add_row(
            str(line.version), clock, line.kind, change, str(a.available), str(a.reserved),
            str(a.captured), str(a.expired), _why(line),
        )  # fmt: skip
    table.draw(console)
    last = done.lines[-1]
    holds = "holds at every version" if not done.unbalanced else "DOES NOT HOLD"
    sums = (
        f"granted {last.granted} = available {last.available} + reserved {last.reserved} + "
        f"spent {last.captured} + expired {last.expired}: {holds}"
    )
    # A name stays with its number.
    sums = re.sub(r"([a-z]) (\d)", rf"\1{GLUE}\2", sums)
    hanging(console, "", sums, 0, "dim" if not done.unbalanced else "bold red")
    if done.spendable != last.available:
        over = last.available - done.spendable
        hanging(console, "", f"{over} of the available credits are over by now", 0)


def _why(line: StatementLine) -> str:
    return f"{line.reason} {line.job_id or line.grant_id or ''}".strip()
