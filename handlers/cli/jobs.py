"""``splitsound jobs``: run a job again, end it, give back what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.hands import give, reason_option
from handlers.cli.outcome import BadInput
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.words import command_line, counted

if TYPE_CHECKING:
    from commands.dispatch import Command


@click.group("jobs")
def command() -> None:
    """Run a job again, end it, or give back what it cost. Each is an event with your reason."""


class Now(Struct, frozen=True):
    """How a job stands. charged: credits that it costs; changed: whether the command did it."""

    job_id: str
    user_id: str
    status: str
    attempt: int
    charged: int
    refunded: int
    version: int
    changed: bool


@command.command("requeue")
@click.argument("job_id", metavar="JOB")
@reason_option
@json_option
@data_option
def requeue(job_id: str, reason: str, as_json: bool, data: Path) -> None:
    """Have JOB done anew, whoever holds it. One that had failed runs again at no cost.

    The commit wakes a worker.
    """
    from commands import RequeueSeparation

    now = _given(RequeueSeparation(_job(job_id), reason), data)
    _tell(now, "queued again" + (", at no cost" if not now.charged else ""), as_json, data)


@command.command("fail")
@click.argument("job_id", metavar="JOB")
@reason_option
@json_option
@data_option
def fail(job_id: str, reason: str, as_json: bool, data: Path) -> None:
    """End JOB, an open one, as failed and release its credits. The user reads the reason."""
    from commands import AbandonSeparation

    now = _given(AbandonSeparation(_job(job_id), reason), data)
    done = "failed; what it held of the user's credits is free again"
    _tell(now, done if now.changed else "failed already; nothing was changed", as_json, data)


@command.command("refund")
@click.argument("job_id", metavar="JOB")
@reason_option
@json_option
@data_option
def refund(job_id: str, reason: str, as_json: bool, data: Path) -> None:
    """Give back, once, what JOB, a completed one, was charged. Its stems stay."""
    from commands import RefundSeparation

    now = _given(RefundSeparation(_job(job_id), reason), data)
    given = f"{counted(now.refunded, 'credit')}"
    done = f"{given} went back to {now.user_id}" if now.changed else f"{given} went back before"
    _tell(now, done, as_json, data)


def _job(text: str) -> str:
    job_id = text.removeprefix("job-")
    if not job_id.startswith("job_"):
        raise BadInput(f"{text!r} is no job; its id begins with job_.")
    return job_id


def _given(wish: Command, data: Path) -> Now:
    from domain.job import CANCELLED, FAILED, JOB

    parts = application(data, writing=True)
    job_id: str = wish.job_id  # type: ignore[attr-defined]  # all three have one
    stream = JOB.stream(job_id)
    before = parts.context.store.load(JOB, stream).version
    give(parts, wish)
    loaded = parts.context.store.load(JOB, stream)
    state = loaded.state
    charged = 0 if state.status in (FAILED, CANCELLED) else state.charged
    return Now(
        job_id, state.asked.user_id, state.status, state.attempt, charged, state.refunded,
        loaded.version, loaded.version > before,
    )  # fmt: skip


def _tell(now: Now, done: str, as_json: bool, data: Path) -> None:
    if as_json:
        terminal.emit(now)
        return
    display = terminal.display(as_json=False)
    display.fact("Job", f"{now.job_id}: {done}")
    cost = f"charged {now.charged}, given back {now.refunded}" if now.refunded else (
        f"costs {now.charged}" if now.charged else "costs nothing"
    )  # fmt: skip
    display.fact("Now", f"{now.status}, attempt {now.attempt}, {cost}, version {now.version}")
    show = command_line("events", "show", now.job_id, data=other_data(data))
    display.fact("See", f"`{show}`")
