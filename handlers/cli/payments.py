"""``splitsound payments``: Stripe's list of payments beside the ledger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from domain.money import Money
from handlers.cli import terminal
from handlers.cli.asof import Moment
from handlers.cli.hands import conditional_reason_option, note
from handlers.cli.outcome import FAILED
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import Table, hanging
from handlers.cli.words import command_line, counted
from infra.clock import stamp

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from handlers.paying.reconciling import Report

_SINCE_DAYS = 30
_DAY_MS = 86_400_000


@click.group("payments")
def command() -> None:
    """Compare Stripe's list of payments with the ledger, and repair."""


@command.command("reconcile")
@click.option(
    "--since",
    type=Moment(begins=True),
    metavar="TIME",
    help=f"Purchases opened then or later; by default, of the last {_SINCE_DAYS} days.",
)
@click.option("--repair", is_flag=True, help="Do what a lost webhook would have done.")
@conditional_reason_option
@json_option
@data_option
def reconcile(
    since: int | None, repair: bool, reason: str | None, as_json: bool, data: Path
) -> int:
    """Compare what Stripe lists with our purchases, in both directions.

    Finds what was paid and not granted, granted and not paid, and refunds and disputes that we
    have not heard of. What the accounts made of it is for `audit check`. Exit code 1
    when something differs, unless --repair put all of it right.
    """
    from domain.acts import RECONCILE
    from handlers.paying.reconciling import reconcile as compare

    begun = time.time_ns() // 1_000_000 - _SINCE_DAYS * _DAY_MS if since is None else since
    parts = application(data, writing=repair)
    if repair:
        note(parts, RECONCILE, f"purchases since {stamp(begun)}", reason)
    display = terminal.display(as_json)
    with display.waiting("Reconcile", "reading Stripe's list"):
        report = compare(parts, begun, repair=repair)
    if as_json:
        terminal.emit({"agree": report.agree, "since_time": stamp(report.since), "report": report})
    else:
        _tell(report, repair, display, data)
    return 0 if report.agree else FAILED


def _tell(report: Report, repair: bool, display: Display, data: Path) -> None:
    others = f", {report.foreign} of somebody else's left aside" if report.foreign else ""
    taken = f"{counted(report.refunds, 'refund')}, {counted(report.disputes, 'dispute')}"
    display.fact("Since", stamp(report.since))
    display.fact("Stripe", f"{counted(report.sessions, 'session')}, {taken}{others}")
    display.fact("Here", counted(report.here, "purchase"))
    if report.sums:
        display.blank()
        _sums(report, display)
    if report.findings:
        display.blank()
        _findings(report, display)
    display.blank()
    _result(report, repair, display, data)


def _sums(report: Report, display: Display) -> None:
    table = Table("money", "Stripe", "here", right=("Stripe", "here"))
    for currency, sums in sorted(report.sums.items()):
        kept_there = sums.paid_there - sums.taken_back_there
        kept_here = sums.paid_here - sums.taken_back_here
        for what, there, here in (
            ("paid", sums.paid_there, sums.paid_here),
            ("taken back", sums.taken_back_there, sums.taken_back_here),
            ("kept", kept_there, kept_here),
        ):
            table.add_row(what, str(Money(there, currency)), str(Money(here, currency)))
    table.draw(display.console)


def _findings(report: Report, display: Display) -> None:
    table = Table("purchase", "user", "difference", "", below=("difference",), spare=("user",))
    for finding in report.findings:
        state = "repaired" if finding.repaired else "can be repaired" * finding.repairable
        kind = finding.kind.replace("_", " ")
        table.add_row(finding.purchase_id, finding.user_id, f"{kind}: {finding.what}", state)
    table.draw(display.console)


def _result(report: Report, repair: bool, display: Display, data: Path) -> None:
    if not report.findings:
        display.fact("Result", "Stripe and the ledger tell the same", "green")
        return
    found = counted(len(report.findings), "difference")
    if report.agree:
        display.fact("Result", f"{found}, and all put right", "green")
        return
    display.fact("Result", found, "yellow")
    left = [f for f in report.findings if not f.repaired]
    if not repair and any(f.repairable for f in left):
        again = command_line("payments", "reconcile", data=other_data(data))
        hanging(
            display.console,
            "  ",
            f"`{again} --repair --reason TEXT` does what webhooks would have done.",
            2,
        )
    elif left:
        hanging(
            display.console, "  ",
            f"{len(left)} of them need a person: look at the purchase with "
            f"`{command_line('events', 'show', left[0].purchase_id, data=other_data(data))}` and "
            "at Stripe's dashboard.", 2,
        )  # fmt: skip
