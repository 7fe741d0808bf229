"""An operator at a shell, in this process, and work for them to look after."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from commands import (
    CompleteUpload,
    InitializeUpload,
    RecordProbe,
    RequestSeparation,
    SignUp,
    execute,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import Meta
from handlers.cli import cli
from handlers.cli.outcome import run
from infra.bootstrap import Application
from projections.leveling import level

WHY = ("--reason", "a test")


class Done(Struct, frozen=True):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON on standard output, after what servers of the test logged meanwhile."""
        lines = self.out.splitlines(keepends=True)
        first = next((n for n, line in enumerate(lines) if line[0] in "{["), 0)
        return json.loads("".join(lines[first:]))


def splitsound(capsys: Any, *arguments: str) -> Done:
    """Run a command line as the console script does."""
    capsys.readouterr()
    code = run(cli, arguments)
    printed = capsys.readouterr()
    return Done(code, printed.out, printed.err)


def do(application: Application, command: Command) -> None:
    """Give a command."""
    execute(application.context, command, Meta(application.ids.fresh("cmd"), "test"))


def some_work(application: Application, users: int = 3) -> None:
    """Users who each have one queued job; every row is up to date."""
    for number in range(users):
        user, asset, job = f"usr_{number}", f"ast_{number}", f"job_{number}"
        do(application, SignUp(user, "development", f"{number}@example.com"))
        size = (1000, 8 << 20, "key", "up")
        do(application, InitializeUpload(user, asset, "a.mp3", "audio/mpeg", *size))
        do(application, CompleteUpload(user, asset, 1000, "etag"))
        do(application, RecordProbe(asset, Audio(441000, 44100, 2), "mp3", "mp3"))
        do(application, RequestSeparation(user, job, asset, "spleeter-2stems", "flac"))
    level(application.operating, application.clock.now)
