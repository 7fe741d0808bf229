"""Statements of accounts on the screen and as JSON: the short one and the auditors'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from domain.commit import Commit
from domain.credits import CREDITS
from domain.errors import HistoryBroken, NotFound
from handlers.asof import upto
from handlers.cli import terminal
from handlers.cli.tables import GLUE, Table, hanging
from handlers.cli.words import counted
from handlers.history import intact
from infra.clock import stamp
from projections.audit.statement import Entry, Statement

if TYPE_CHECKING:
    from rich.console import Console

    from infra.bootstrap import Application

_NUMBERS = ("v", "change", "available", "held", "spent", "expired", "revoked", "debt")
# These stand in a column only where they are ever more than nothing.
_RARE = ("expired", "revoked", "debt")


def user_id_of(parts: Application, user: str) -> str:
    """Whose account: an id (usr_...) as it is, an e-mail address as sign-in knows it."""
    from infra.identity import DEVELOPMENT, normalised

    if user.startswith("usr_"):
        return user
    return parts.identity.user_id(DEVELOPMENT, normalised(user))


def account(parts: Application, user: str, as_of: int | None) -> tuple[str, Iterable[Commit]]:
    """The user's id, and the account's commits up to then. Raises NotFound where there are none."""
    user_id = user_id_of(parts, user)
    stored = parts.store.read(CREDITS.stream(user_id))
    # Checked first: an edited time must not pass for the end.
    commits = iter(stored if as_of is None else upto(intact(stored), as_of))
    first = next(commits, None)
    if first is None:
        when = f" at {stamp(as_of)}" if as_of is not None else ""
        raise NotFound(f"{user} has no credit account{when} (looked for {user_id}).")

    def all_of_them() -> Iterable[Commit]:
        yield first
        yield from commits

    return user_id, all_of_them()


def require_lawful(done: Statement) -> None:
    """Raises HistoryBroken where the law does not hold."""
    if done.wrong:
        shown = [f"  version {version}: {what}" for version, what in done.wrong[:10]]
        more = len(done.wrong) - len(shown)
        rest = [f"  and {more} more"] if more else []
        where = counted(len(done.wrong), "version")
        raise HistoryBroken("\n".join([f"The account breaks the law at {where}:", *shown, *rest]))


def document(user_id: str, done: Statement) -> dict[str, Any]:
    """The statement as JSON shows it; times in RFC 3339."""
    last = done.entries[-1]
    return {
        "user_id": user_id,
        "stream": last.commit.stream,
        "verified": True,  # a chain that does not hold has no statement
        "at": stamp(done.at),
        "spendable": done.spendable,
        **_balances(last),
        "granted": last.granted,
        "balanced": not done.wrong,
        "wrong": [{"version": version, "what": what} for version, what in done.wrong],
        "grants": [
            {"grant_id": grant_id, **told, "expires": _time(told["expires"])}
            for grant_id, told in msgspec.to_builtins(done.grants).items()
        ],
        "lines": [_line(entry) for entry in done.entries],
    }


def _time(moment: int | None) -> str | None:
    return None if moment is None else stamp(moment)


def _balances(entry: Entry) -> dict[str, int]:
    return {
        "available": entry.available, "reserved": entry.held, "captured": entry.spent,
        "expired": entry.expired, "revoked": entry.revoked, "debt": entry.debt,
    }  # fmt: skip


def _line(entry: Entry) -> dict[str, Any]:
    commit = entry.commit
    ids = ("job_id", "grant_id", "purchase_id", "source")
    return {
        "version": entry.version, "time": stamp(commit.t), "type": type(entry.event).__name__,
        "kind": entry.kind, "change": entry.change, "amount": entry.amount, **_balances(entry),
        **{name: entry.said(name) for name in ids}, "reason": entry.why, "actor": commit.actor,
        "corr": commit.corr, "cause": commit.cause, "cmd": commit.cmd, "hash": commit.hash.hex(),
        "origin": commit.origin,
    }  # fmt: skip


def show(done: Statement, console: Console, *, full: bool = False) -> None:
    """The statement as a table, and the law. full: with who, the request and the commit's hash."""
    rare = [name for name in _RARE if any(getattr(e, name) for e in done.entries)]
    balances = ["available", "held", "spent", *rare]
    head, clocks = terminal.times([e.commit.t for e in done.entries])
    own = ["commit"] if full else []
    table = Table(
        "v", head, "entry", "change", *balances, *own, "why",
        right=_NUMBERS, below=("why",), spare=own,
    )  # fmt: skip
    for entry, clock in zip(done.entries, clocks, strict=True):
        change = f"{entry.change:+d}" if entry.change else "0"
        numbers = [str(getattr(entry, name)) for name in balances]
        hashes = [entry.commit.hash.hex()[:8]] if full else []
        table.add_row(
            str(entry.version), clock, entry.kind, change, *numbers, *hashes, _why(entry, full)
        )
    table.draw(console)
    _law(done, console)


def _why(entry: Entry, full: bool) -> str:
    why = f"{entry.why} {entry.about}".strip()
    if full:
        commit = entry.commit
        why += f" by {commit.actor}" if commit.actor else ""
        why += f", {commit.corr}" if commit.corr else ""
    return f"{why} ({entry.wrong})" if entry.wrong else why


def _law(done: Statement, console: Console) -> None:
    holds = "DOES NOT HOLD" if done.wrong else "holds at every version"
    # A name stays with its number.
    sums = re.sub(r"([a-z]) (-?\d)", rf"\1{GLUE}\2", f"{done.law}: {holds}")
    hanging(console, "", sums, 0, "bold red" if done.wrong else "dim")
    over = done.entries[-1].available - done.spendable
    if over:
        hanging(console, "", f"{over} of the available credits are over by {stamp(done.at)}", 0)


def grants(done: Statement, console: Console) -> None:
    """The grants that still have credits, a row each."""
    if not done.grants:
        hanging(console, "", "No grant has credits left.", 0, "dim")
        return
    table = Table(
        "grant", "source", "left", "held", "priority", "lasts until (UTC)",
        right=("left", "held", "priority"), spare=("priority",),
    )  # fmt: skip
    for grant_id, grant in done.grants.items():
        until = "for ever" if grant.expires is None else stamp(grant.expires)[:19]
        if grant.expires is not None and grant.expires <= done.at:
            until += " (over)"
        table.add_row(
            grant_id, grant.source, str(grant.left), str(grant.held), str(grant.priority),
            until.replace("T", " "),
        )  # fmt: skip
    table.draw(console)
