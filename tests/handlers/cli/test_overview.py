"""One screen of the whole system, once and again and again."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import StartSeparation
from handlers.cli import overview
from infra.bootstrap import Application
from infra.operations import Applied, Pulse, WorkerPulse
from infra.operations.pulses import PROJECTOR
from tests.handlers.cli.operators import Done, do, some_work, splitsound

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    """Three queued jobs and a projector that is alive."""
    some_work(application)
    now = application.clock.now()
    applied = {"jobs": Applied(now - 5000, now - 4900)}
    application.pulses.note(PROJECTOR, Pulse("here:1", now, now, applied))
    application.pulses.note_worker(WorkerPulse("here:2", now, ("probe", "short", "long")))
    return lambda *arguments: splitsound(capsys, *arguments)


def test_all_is_well(shell: Shell) -> None:
    done = shell("status")
    assert done.code == 0
    assert "everything is as it should be" in done.out
    assert "alive, last heard of" in done.out
    assert "3 queued, 0 running" in done.out
    assert "100 ms" in done.out  # the lag


def test_what_needs_a_hand_comes_last_with_what_to_type(
    shell: Shell, application: Application
) -> None:
    shell("pause", "intake", "--reason", "the disks")
    do(application, StartSeparation("job_1", "host:1:a"))
    done = shell("status")
    assert "something needs a hand" in done.out
    assert "the disks" in done.out
    snapshot = shell("status", "--json").data
    assert snapshot["paused"][0]["subject"] == "intake"
    lanes = {"short", "long", "gpu-short", "gpu-long"}
    assert snapshot["operations"]["queues"].keys() == lanes | {
        "probe", "projections", "webhooks",
    }  # fmt: skip
    assert snapshot["operations"]["dead_letters"].keys() == {
        "separation", "probe", "projections", "webhooks",
    }  # fmt: skip


def test_lanes_say_who_works_there(shell: Shell, application: Application) -> None:
    out = shell("status").out
    assert "short: 3 queued, 0 running, 1 worker, free in about" in out
    assert "long: idle, 1 worker; gpu-short, gpu-long: idle, no worker" in out
    lanes = shell("status", "--json").data["operations"]["lanes"]
    assert (lanes["short"]["queued"], lanes["short"]["workers"]) == (3, 1)
    assert lanes["gpu-long"]["free_seconds"] is None
    application.pulses.note_worker(WorkerPulse("here:2", application.clock.now(), ()))
    out = shell("status").out
    assert "3 jobs wait in the lane short, and no worker that lives serves it" in out


def test_without_a_terminal_it_watches_once(shell: Shell) -> None:
    assert "3 queued" in shell("projections", "watch").out
    once = shell("projections", "watch", "--once", "--json").out
    assert len(once.splitlines()) == 1
    assert json.loads(once)["operations"]["queued"] == 3


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_screen(shell: Shell, application: Application, width: int) -> None:
    shell("pause", "projection:jobs", "--reason", "somebody looks at the rows of the jobs " * 3)
    screen = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False
    )
    overview.draw(overview.take(application), screen, Path(".splitsound"))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    assert max(map(len, lines)) <= width
