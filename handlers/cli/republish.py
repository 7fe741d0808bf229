"""``splitsound events republish``: ring again for what was committed in a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.asof import Moment
from handlers.cli.hands import conditional_reason_option, note
from handlers.cli.outcome import FAILED, BadInput, Interrupted
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.words import command_line, counted
from infra.clock import stamp

if TYPE_CHECKING:
    from handlers.operating.republishing import Republished, Wanted

_SHOWN = 20


class Rung(Struct, frozen=True):
    """See Republished; streams: how many."""

    since: str
    until: str
    dry_run: bool
    scanned: int
    commits: int
    streams: int
    categories: dict[str, int]
    published: int
    refused: list[str]


@click.command("republish")
@click.option(
    "--since", type=Moment(begins=True), required=True, metavar="TIME", help="From then on."
)
@click.option("--until", type=Moment(), metavar="TIME", help="Up to then; by default, now.")
@click.option(
    "--category", metavar="NAME", help="Only job, credits, asset, user, purchase, controls or acts."
)
@click.option("--dry-run", is_flag=True, help="Count, publish nothing.")
@conditional_reason_option
@json_option
@data_option
def republish(
    since: int,
    until: int | None,
    category: str | None,
    dry_run: bool,
    reason: str | None,
    as_json: bool,
    data: Path,
) -> int:
    """Put the doorbell of every commit made in that time on the bus again.

    For a relay that was down for longer than the stream keeps. It is harmless: read models
    acknowledge what they have, and a worker that gets a doorbell for finished work just
    acknowledges it. Imported commits keep their mark and wake no worker.
    """
    from domain.acts import REPUBLISH
    from domain.aggregates import BY_CATEGORY
    from handlers.operating.republishing import Republishing, Wanted

    if category is not None and category not in BY_CATEGORY:
        raise BadInput(f"No category {category!r}; there are {', '.join(sorted(BY_CATEGORY))}.")
    wanted = Wanted(since, time.time_ns() // 1_000_000 if until is None else until, category)
    if wanted.since > wanted.until:
        raise BadInput(f"{stamp(wanted.since)} is after {stamp(wanted.until)}.")
    parts = application(data, writing=not dry_run)
    if not dry_run:
        between = f"{stamp(wanted.since)} to {stamp(wanted.until)}"
        note(parts, REPUBLISH, f"{category or 'all'}, {between}", reason)
    display = terminal.display(as_json)
    total = parts.store.estimate()
    with display.bar("Republish", total, unit="commits") as bar:
        bus = None if dry_run else parts.bus
        work = Republishing(parts.store, bus, wanted, lambda n: bar.to(n, total=max(n, total)))
        try:
            done = work.run()
        except KeyboardInterrupt:
            raise Interrupted(
                "Stopped half-way. The same command begins anew; ringing twice is harmless."
            ) from None
    rung = _rung(wanted, done, dry_run)
    if as_json:
        terminal.emit(rung)
    else:
        _tell(rung, display, data)
    return FAILED if rung.refused else 0


def _rung(wanted: Wanted, done: Republished, dry_run: bool) -> Rung:
    return Rung(
        stamp(wanted.since), stamp(wanted.until), dry_run, done.scanned, done.commits,
        len(done.streams), done.categories, done.published, done.refused,
    )  # fmt: skip


def _tell(rung: Rung, display: terminal.Display, data: Path) -> None:
    display.fact("Between", f"{rung.since} and {rung.until}")
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(rung.categories.items()))
    commits = f"{counted(rung.commits, 'commit')} of {counted(rung.streams, 'stream')}"
    display.fact(
        "Found", f"{commits} in {rung.scanned:,} scanned" + (f": {kinds}" if kinds else "")
    )
    if rung.dry_run:
        display.fact("Dry run", "nothing was published")
        return
    display.fact("Published", f"{counted(rung.published, 'doorbell')}")
    if rung.refused:
        places = ", ".join(rung.refused[:_SHOWN])
        more = f" and {len(rung.refused) - _SHOWN} more" if len(rung.refused) > _SHOWN else ""
        display.fact("Refused", f"the bus did not take {places}{more}; run it again", "yellow")
        return
    status = command_line("status", data=other_data(data))
    display.fact(
        "Next", "read models and workers acknowledge what they have done already and do the "
        f"rest; `{status}` shows the queues draining",
    )  # fmt: skip
