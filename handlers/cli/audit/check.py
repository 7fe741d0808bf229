"""``splitsound audit check``: the conservation law everywhere, and credits against money."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from domain.credits import CREDITS
from domain.errors import NotFound
from handlers.cli import terminal
from handlers.cli.audit import sums
from handlers.cli.audit.known import scanning
from handlers.cli.outcome import FAILED
from handlers.cli.projections.known import cost, pace, paced
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.statements import user_id_of
from handlers.cli.words import counted
from projections.audit.walking import CHAIN

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from infra.bootstrap import Application
    from infra.metering import Units
    from infra.pacing import Pace
    from projections.audit.totals import Totals
    from projections.audit.walking import Finding, Walked


class Checked(Struct, frozen=True):
    """What a check found. events: of accounts and purchases."""

    totals: Totals
    findings: list[Finding]
    events: int
    seconds: float
    units: Units


@click.command("check", short_help="Check that no credit appears or vanishes, and the money.")
@click.argument("users", nargs=-1, metavar="[USER]...")
@paced
@json_option
@data_option
def check(
    users: tuple[str, ...],
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> int:
    """Check that no credit appears or vanishes: every account, at every version.

    Also: no grant is below zero, nobody has both a debt and credits to spend, and what purchases
    sold and took back is what accounts were granted and lost, purchase by purchase. Then the
    sums: credits by source, and money by currency. Commands may run meanwhile.

    USER is an id (usr_...) or an e-mail address; without any, it is the whole store. Exit code 1
    when something does not fit; each difference is named with its stream and version.
    """
    parts, display = application(data), terminal.display(as_json)
    done = _run(parts, users, pace(throttle), segments, workers, display)
    if as_json:
        terminal.emit({
            "right": not done.findings, **sums.document(done.totals), "findings": done.findings,
            "events": done.events, "seconds": done.seconds, "units": done.units,
        })  # fmt: skip
    else:
        _tell(done, display)
    return FAILED if done.findings else 0


def _run(
    parts: Application,
    users: tuple[str, ...],
    spending: Pace,
    segments: int,
    workers: int,
    display: Display,
) -> Checked:
    from handlers.operating.auditing import Audit, disagreeing, purchases_of
    from handlers.operating.rebuilding import paced_store

    history = paced_store(parts, spending)
    began = time.monotonic()
    accounts = [CREDITS.stream(user_id_of(parts, user)) for user in users]
    for user, stream in zip(users, accounts, strict=True):
        if next(history.read(stream), None) is None:
            raise NotFound(f"{user} has no credit account (looked for {stream}).")
    with scanning(display, history.estimate() if not users else len(users)) as heard:
        audit = Audit(
            history, thorough=False, segments=segments, workers=workers, heard=heard,
            stopped=spending.release,
        )  # fmt: skip
        if users:
            found: Walked = audit.these([*accounts, *purchases_of(history, accounts)])
        else:
            found = audit.everything()
    findings = sorted([*found.findings, *disagreeing(found)])
    seconds = round(time.monotonic() - began, 3)
    return Checked(found.totals, findings, found.events, seconds, spending.spent)


def _tell(done: Checked, display: Display) -> None:
    console, totals = display.console, done.totals
    sums.draw_credits(totals, console)
    display.blank()
    sums.draw_money(totals, console)
    display.blank()
    if done.findings:
        sums.draw_findings(done.findings, console)
        display.blank()
    what = f"{done.events:,} events of {counted(totals.accounts, 'account')} and their purchases"
    display.fact("Checked", f"{what} in {terminal.duration(done.seconds)}")
    display.fact("Cost", cost(done.units))
    if not any(finding.kind == CHAIN for finding in done.findings):
        display.fact("Chain", "each commit follows the one before it, and says what it said")
    if not done.findings:
        display.fact("Result", "every credit is accounted for, at every version", "green")
        return
    display.fact("Result", f"{counted(len(done.findings), 'difference')}, named above", "bold red")
