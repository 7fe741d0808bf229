"""``splitsound pause``, ``resume`` and ``paused``: hold intake, a model or a read model shut."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from handlers.asof import stamp
from handlers.cli import terminal
from handlers.cli.hands import actor, give, reason_option
from handlers.cli.outcome import BadInput
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import GLUE, Table
from handlers.cli.words import command_line

if TYPE_CHECKING:
    from infra.bootstrap import Application

_MEANS = {
    "intake": "new uploads and jobs are answered 503 with Retry-After; what has begun goes on",
    "model": "new jobs with it are answered 503, queued ones wait; what runs goes on",
    "projection": "the projector leaves its rows alone, so they fall behind until it is resumed",
}


class Shut(Struct, frozen=True):
    """What is paused. by: the actor; since: epoch ms; retry_seconds: what callers are told."""

    subject: str
    reason: str
    retry_seconds: int
    by: str
    since: int


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

    parts = application(data, writing=True)
    kind = _kind(parts, subject)
    give(parts, Pause(subject, reason, retry_seconds))
    if as_json:
        terminal.emit(shut(parts))
        return
    display = terminal.display(as_json=False)
    display.fact("Paused", f"{subject}, by {actor()}: {_MEANS[kind]}", "yellow")
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

    parts = application(data, writing=True)
    before = {each.subject for each in shut(parts)}
    kind = _kind(parts, subject, paused=subject in before)
    give(parts, Resume(subject, reason))
    if as_json:
        terminal.emit(shut(parts))
        return
    display = terminal.display(as_json=False)
    if subject not in before:
        display.fact("Open", f"{subject} was not paused; nothing was changed")
        return
    display.fact("Resumed", f"{subject}, by {actor()}; every process knows in a few{GLUE}seconds")
    if kind == "projection":
        name = subject.partition(":")[2]
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
    found = shut(application(data))
    if as_json:
        terminal.emit(found)
        return
    console = terminal.console()
    if not found:
        console.print("Nothing is paused.")
        return
    table(found).draw(console)


def table(found: list[Shut]) -> Table:
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


def shut(parts: Application) -> list[Shut]:
    """What is paused, as the controls stream tells it; the longest first."""
    from domain.controls import CONTROLS, STREAM, Paused

    found: dict[str, Shut] = {}
    for commit in parts.store.read(STREAM):
        for event in CONTROLS.decode(str(commit.events)):
            said = found.pop(event.subject, None)  # type: ignore[attr-defined]  # both have one
            if isinstance(event, Paused):
                since = said.since if said else commit.t
                found[event.subject] = Shut(
                    event.subject, event.reason, event.retry_seconds, commit.actor, since
                )
    return sorted(found.values(), key=lambda each: each.since)


def _kind(parts: Application, subject: str, *, paused: bool = False) -> str:
    """intake, model or projection. Raises Invalid, and BadInput for one that there is not."""
    import projections
    from domain.controls import MODEL, PROJECTION, named

    kind, name = named(subject)
    there: dict[str, list[str]] = {
        MODEL: list(parts.catalog.models), PROJECTION: list(projections.ALL),
    }  # fmt: skip
    known = there.get(kind)
    if known is not None and name not in known and not paused:
        raise BadInput(f"There is no {kind} {name!r}; there are {', '.join(known)}.")
    return kind
