"""A real rebuild process, killed half-way: refused to others meanwhile, then gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers.operating import rebuilding
from infra.bootstrap import Application
from projections.generations import Build
from tests.handlers.cli.operators import WHY, some_work, splitsound

PROGRAM = Path(sys.executable).with_name("splitsound")


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own, on this test's stage."""
    # Who runs the tests in the background of a shell has Ctrl-C ignored, which children inherit.
    heeding = ["env", "--default-signal=INT"]
    return subprocess.Popen(
        [*heeding, str(PROGRAM), "projections", "rebuild", *WHY, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def build_of(application: Application) -> Build | None:
    catalogue = application.operating.generations.catalogue("credits")
    return catalogue.build if catalogue else None


def until(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def folded(application: Application) -> int:
    build = build_of(application)
    return len(build.done) if build else 0


# Half a unit a part: 32 parts take about eight seconds.
SLOWLY = ("credits", "--throttle", "2", "--workers", "2")


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was_and_meanwhile_nobody_else_may(
    application: Application, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_work(application)
    process = start(*SLOWLY)
    try:
        until(lambda: folded(application) >= 3, process)
        second = splitsound(capsys, "projections", "rebuild", "credits", *WHY)
        assert second.code == 1
        assert "It is being rebuilt already, by" in second.err
        assert f":{process.pid}:" in second.err
        assert "rebuilding @2" in splitsound(capsys, "projections", "list").out
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = folded(application)
    assert 3 <= done < 32
    assert application.operating.generations.live("credits") == 1
    monkeypatch.setattr(rebuilding, "settle", lambda: None)
    again = splitsound(capsys, "projections", "rebuild", "credits", *WHY)
    assert again.code == 0, again.err
    assert f"credits@2: {done} of 32 parts were folded by an earlier run" in again.out
    assert "3 rows compared with credits@1; they say the same" in again.out
    assert application.operating.generations.live("credits") == 2
    assert splitsound(capsys, "projections", "verify", "credits").code == 0


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(application: Application, capsys: Any) -> None:
    some_work(application)
    process = start(*SLOWLY)
    try:
        until(lambda: folded(application) >= 2, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "of 32 parts folded; queries read the same rows as before" in errors
    assert "projections rebuild credits --reason TEXT` goes on from there" in errors
    assert "projections drop credits --generation 2 --reason TEXT` gives it up" in errors
    listed = splitsound(capsys, "projections", "list").out
    assert "unfinished: @2" in listed
    assert "nobody works on the rebuild" in listed
    assert splitsound(capsys, "projections", "drop", "credits", *WHY, "--generation", "2").code == 0
    build = build_of(application)
    assert build is None
