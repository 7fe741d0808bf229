"""``splitsound doctor``: what this machine and the running stack lack, and what to do about it;
with ``--stage`` the same of a stage on AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from handlers.cli import terminal
from handlers.cli.checks import Check, machine, models, stack, stage
from handlers.cli.outcome import FAILED
from handlers.cli.reach import data_option, json_option
from handlers.cli.tables import hanging
from handlers.cli.words import counted, safe
from infra.stage import FORM

_INDENT = 33
# As the parameter of infra/stacks/api.yaml.
_DOMAIN = r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}"
_MARKS = {"ok": ("ok", "green"), "failed": ("FAILED", "bold red"), "skipped": ("skipped", "dim")}


@click.command("doctor")
@click.option("--stage", "name", metavar="STAGE", help="Check this stage on AWS instead.")
@click.option("--domain", metavar="DOMAIN", help="The stage's: the API is https://api.DOMAIN.")
@json_option
@data_option
def command(name: str | None, domain: str | None, as_json: bool, data: Path) -> int:
    """Check the machine and, if a stack is running, the stack.

    With --stage and --domain: a stage on AWS, in the account and region of your credentials,
    whether tasks, bucket, sign-in providers and Stripe all know its domain, and whether it works.

    Exit code 1 when a check fails; each says what to do.
    """
    found = _of_stage(name, domain) if name or domain else _all(data)
    show = _printer(as_json)
    checks = []
    for check in found:
        show(check)
        checks.append(check)
    failed = [check for check in checks if check.state == "failed"]
    if as_json:
        terminal.emit({"ok": not failed, "checks": checks})
    else:
        verdict = (
            f"{len(failed)} of {counted(len(checks), 'check')} failed."
            if failed
            else "All is well."
        )
        terminal.console().print(f"\n{verdict}", style="bold")
    return FAILED if failed else 0


def _all(data: Path) -> Iterator[Check]:
    for examine in (machine.examine, models.examine, stack.examine):
        yield from examine(data)


def _of_stage(name: str | None, domain: str | None) -> Iterator[Check]:
    if not name or not domain:
        raise click.UsageError("Name both: --stage STAGE --domain DOMAIN.")
    if not re.fullmatch(FORM, name):
        raise click.UsageError(f"A stage is a short name of a-z, 0-9 and -, not {name!r}.")
    if not re.fullmatch(_DOMAIN, domain):
        raise click.UsageError(f"A domain is a name as example.com, not {domain!r}.")
    return stage.examine(stage.Stage(name, domain))


def _printer(as_json: bool) -> Callable[[Check], None]:
    if as_json:
        return lambda _: None
    console = terminal.console()

    def show(check: Check) -> None:
        word, style = _MARKS[check.state]
        head = f"  {word:<8}{check.name}"
        hanging(console, head, safe(check.found), _INDENT, mark=style)
        if check.todo:
            hanging(console, "", f"-> {safe(check.todo)}", _INDENT, "yellow")

    return show
