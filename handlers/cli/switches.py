"""``splitsound pause``, ``resume`` and ``paused``: hold intake, a model or a read model shut."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.cli import terminal
from handlers.cli.hands import actor, give, reason_option
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import GLUE, Table
from handlers.cli.words import command_line
from infra.clock import stamp

if TYPE_CHECKING:
    from handlers.operating.holding import Held

_MEANS = {
    "intake": "new uploads and jobs are answered 503 with Retry-After; what has begun goes on",
    "model": "new jobs with it are answered 503, queued ones wait; what runs goes on",
    "projection": "the projector leaves its rows alone, so they fall behind until it is resumed",
}


@click.command("pause")
@click.argument("subject")
@reason_option
@click.option(
    "--retry-seconds",
    type=click.IntRange(1, 24 * 3600),
    default=300,
    show_default=True,
    help="When callers are told to come back.",
)
@json_option
@data_option
def pause(subject: str, reason: str, retry_seconds: int, as_json: bool, data: Path) -> None:
    """Hold SUBJECT shut: intake (maintenance mode), model:NAME or projection:NAME.

    What has begun goes on: uploads are completed, jobs cancelled, workers finish. It takes a few
    seconds until every process knows.
    """
    from commands import Pause
    from handlers.operating.holding import held, require_known

    parts = application(data, writing=True)
    require_known(parts, subject)
    give(parts, Pause(subject, reason, retry_seconds))
    if as_json:
        terminal.emit(held(parts))
        return
    display = terminal.display(as_json=False)
    display.fact(
        "Paused", f"{subject}, by {actor()}: {_MEANS[subject.partition(':')[0]]}", "yellow"
    )
    display.fact("Told", f"callers are told to come back in {terminal.duration(retry_seconds)}")
    resume_it = command_line("resume", subject, data=other_data(data))
    display.fact("Open again", f"`{resume_it} --reason TEXT`")


@click.command("resume")
@click.argument("subject")
@reason_option
@json_option
@data_option
def resume(subject: str, reason: str, as_json: bool, data: Path) -> None:
    """Open SUBJECT again. The rows of a resumed read model are brought to date by the sweeper."""
    from commands import Resume
    from handlers.operating.holding import held, require_known

    parts = application(data, writing=True)
    before = {each.subject for each in held(parts)}
    require_known(parts, subject)
    give(parts, Resume(subject, reason))
    if as_json:
        terminal.emit(held(parts))
        return
    display = terminal.display(as_json=False)
    if subject not in before:
        display.fact("Open", f"{subject} was not paused; nothing was changed")
        return
    display.fact("Resumed", f"{subject}, by {actor()}; every process knows in a few{GLUE}seconds")
    kind, _, name = subject.partition(":")
    if kind == "projection":
        verify = command_line("projections", "verify", name, data=other_data(data))
        display.fact(
            "Rows", f"the sweeper brings them to date within a minute; `{verify}` shows whether "
            "it has",
        )  # fmt: skip


@click.command("paused")
@json_option
@data_option
def paused(as_json: bool, data: Path) -> None:
    """Show what is paused: since when, by whom, why."""
    from handlers.operating.holding import held

    found = held(application(data))
    if as_json:
        terminal.emit(found)
        return
    console = terminal.console()
    if not found:
        console.print("Nothing is paused.")
        return
    table(found).draw(console)


def table(found: list[Held]) -> Table:
    """One line for each subject."""
    drawn = Table(
        "paused", "since (UTC)", "for", "by", "retry", "why",
        right=("for", "retry"), below=("why",), spare=("since (UTC)",),
    )  # fmt: skip
    now = time.time_ns() // 1_000_000
    for each in found:
        drawn.add_row(
            each.subject, stamp(each.since)[:19].replace("T", " "),
            terminal.duration(max(0, now - each.since) / 1000), each.by,
            terminal.duration(each.retry_seconds), each.reason,
        )  # fmt: skip
    return drawn
