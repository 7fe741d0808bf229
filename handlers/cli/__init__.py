"""The ``splitsound`` command: parse, call, render. Each command's module is loaded when it runs."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys

import click

# Help texts stand here so that `splitsound --help` imports nothing but click.
_COMMANDS = {
    "up": "Start the local stack and keep it running.",
    "down": "Stop the running stack.",
    "demo": "A song to stems, start to finish, on a stack of its own.",
    "separate": "Send a song through the running API and fetch its stems.",
    "buy": "Buy credits, or see what is sold.",
    "cancel": "Cancel a job; what it holds of your credits comes back.",
    "status": "The whole system on one screen: work, queues, read models, what is paused.",
    "jobs": "Run a job again, end it, or give back what it cost.",
    "pause": "Hold intake (maintenance mode), a model or a read model shut.",
    "resume": "Open again what was paused.",
    "paused": "Show what is paused: since when, by whom, why.",
    "projections": "See how the read models stand; rebuild, verify, roll back, watch.",
    "dead-letters": "Streams that a read model cannot follow, and messages that died.",
    "events": "Show a stream; export, import and republish events.",
    "credits": "A user's credit statement, computed from the events.",
    "adjust": "Give a user credits, or take some; a fact with its reason.",
    "audit": "Replay accounts; check, verify, export and prove histories; sign digests.",
    "payments": "Compare Stripe's list of payments with the ledger, and repair.",
    "media": "What lies in storage and nothing names; what is named and lost.",
    "models": "List the models that are offered here; add checkpoints, check them all.",
    "smoke": "Try a deployed stage from outside: its health, and a song of three seconds.",
    "cost": "What a month would cost on AWS, line by line.",
    "keys": "See and change the keys that sign access tokens.",
    "settings": "Every variable: its default, what it is, and what it says here.",
    "doctor": "Check this machine and the running stack, or a stage, and say what to do.",
    "bench": "Measure speed and memory; print a table, write JSON.",
}
# Where a command is, if not as ``command`` in the module of its name.
_PLACES = {
    "keys": ("signing_keys", "command"),
    "pause": ("switches", "pause"),
    "resume": ("switches", "resume"),
    "paused": ("switches", "paused"),
    "dead-letters": ("dead_letters", "command"),
}

_EPILOG = """\b
Exit codes: 0 done; 1 it failed; 2 wrong usage or a file that cannot be used;
3 no stack is running, or the API cannot be reached; 130 interrupted.
Commands that print data take --json; under it errors are JSON too, on stderr."""


class _Commands(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for name in _COMMANDS if _exists(name)]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS or not _exists(cmd_name):
            return None
        place, name = _place(cmd_name)
        command: click.Command = getattr(importlib.import_module(place), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in self.list_commands(ctx)])


def _place(name: str) -> tuple[str, str]:
    module, attribute = _PLACES.get(name, (name, "command"))
    return f"handlers.cli.{module}", attribute


def _exists(name: str) -> bool:
    return importlib.util.find_spec(_place(name)[0]) is not None


@click.group(
    cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="splitsound", prog_name="splitsound")
def cli() -> None:
    """SplitSound takes a song apart into its stems: vocals, drums, bass, other.

    Try `splitsound demo` first. `splitsound up` keeps a stack running for the other commands.
    """


def main() -> None:
    """The console script."""
    from handlers.cli.outcome import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may be no text in any encoding.
            stream.reconfigure(errors="replace")
    sys.exit(run(cli, sys.argv[1:]))
