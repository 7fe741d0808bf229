"""``splitsound up``: the local stack in the foreground."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.cli import terminal
from handlers.cli.outcome import FAILED
from handlers.cli.reach import data_option, other_data
from handlers.cli.terminal import Display, console
from handlers.cli.words import command_line, named

if TYPE_CHECKING:
    from infra.local.errors import AlreadyRunning
    from infra.local.signals import StopSignals
    from infra.local.stack import LocalStack

DEFAULT_PORT = 8040
# An emulator that ends this often is not going to stay.
_RESTARTS = 5
_SETTLED_SECONDS = 300.0


@click.command("up")
@data_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help=f"The API's port; by default {DEFAULT_PORT}, or a free one where that is taken.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 16),
    default=1,
    show_default=True,
    metavar="N",
    help="Worker processes; each separates one song per lane at a time.",
)
def command(data: Path, port: int | None, workers: int) -> int:
    """Start the local stack and keep it running until Ctrl-C.

    Users, jobs, credits and files stay in the data directory, whatever ends the stack.
    """
    from infra.local.errors import AlreadyRunning, LocalStackError
    from infra.local.ports import free_port
    from infra.local.signals import StopSignals
    from infra.local.stack import LocalStack

    show = Display(console())
    with StopSignals() as signals:
        chosen = free_port(port, preferred=DEFAULT_PORT)
        stack = LocalStack(
            data, port=chosen, workers=workers, report=lambda line: show.fact("", line)
        )
        try:
            return _keep_running(stack, signals, show, data)
        except AlreadyRunning as error:
            stop = command_line("down", data=other_data(data))
            raise LocalStackError(
                f"{_who(error, data)}. Use it, stop it with `{stop}`, or give this one another "
                "--data."
            ) from error
        except KeyboardInterrupt:
            show.fact("Stopped", "before the start was complete; nothing is left running")
            raise


def _keep_running(stack: LocalStack, signals: StopSignals, show: Display, data: Path) -> int:
    restarts = 0
    while True:
        began = time.monotonic()
        _start(stack, show)
        took = terminal.duration(time.monotonic() - began)
        if restarts:
            show.console.print(f"Running again (after {took})", style="bold")
            _addresses(stack, show)
        else:
            _tell(stack, show, took, data)
        ended = stack.run(signals)
        with signals.deferred():
            if ended == "stopped":
                show.fact("Stopping", "a second Ctrl-C hurries it")
                stack.stop(hurry=lambda: signals.hurried)
            else:
                # Without the cloud the components could only wait in vain; killing them is safe.
                stack.kill()
        if ended == "stopped":
            show.fact("Stopped", f"everything stays in {stack.data}")
            return 0
        restarts = 1 if time.monotonic() - began > _SETTLED_SECONDS else restarts + 1
        if restarts > _RESTARTS:
            show.fact("Failed", f"the emulator keeps ending; see {stack.emulator.log}")
            return FAILED
        show.fact("Restart", "the emulator ended; bringing everything back from the journal")


def _start(stack: LocalStack, show: Display) -> None:
    if not show.console.is_terminal:
        stack.start()
        return
    with show.console.status("starting", spinner="dots", spinner_style="dim") as status:
        stack.start(status.update)


def _who(error: AlreadyRunning, data: Path) -> str:
    if error.url is None:
        pid = f" (pid {error.pid})" if error.pid else ""
        return f"A stack is already starting on {named(data)}{pid}"
    return f"A stack is already running on {named(data)} at {error.url} (pid {error.pid})"


def _addresses(stack: LocalStack, show: Display) -> None:
    show.fact("API", stack.api_url)
    show.fact("OpenAPI", f"{stack.api_url}/schema")
    show.fact("Storage", f"{stack.storage_url} (S3, presigned URLs only)")
    payments, identity = stack.stand_ins.payments, stack.stand_ins.identity
    if payments is not None:
        show.fact("Payments", f"{payments.url} (a stand-in for Stripe: no real money)")
    if identity is not None:
        show.fact("Sign-in", f"{identity.url} (an OpenID provider: anyone, as any address)")


def _tell(stack: LocalStack, show: Display, took: str, data: Path) -> None:
    show.console.print(f"SplitSound is running (started in {took})", style="bold")
    show.blank()
    _addresses(stack, show)
    for label, text in (
        ("Data", f"{stack.data}"),
        ("Journal", f"{stack.journal} (back it up together with keys/)"),
        ("Logs", f"{stack.logs}"),
    ):
        show.fact(label, text)
    show.blank()
    elsewhere = other_data(data)
    show.fact("Try", command_line("separate", "path/to/song.mp3", data=elsewhere))
    show.fact("Stop", f"Ctrl-C here, or {command_line('down', data=elsewhere)}")
    show.blank()
