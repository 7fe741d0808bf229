"""``splitsound media``: what lies in storage, against what the histories name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handlers.cli import terminal
from handlers.cli.hands import conditional_reason_option, note
from handlers.cli.outcome import FAILED
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.tables import GLUE, Table, hanging
from handlers.cli.words import command_line, counted

if TYPE_CHECKING:
    from rich.console import Console

    from handlers.operating.strays import Compared, Stray

_SHOWN = 40
_AGE = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Age(click.ParamType[int]):
    """How old, in milliseconds: ``90s``, ``30m``, ``24h``, ``7d``."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        found = _AGE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no age; write 90s, 30m, 24h or 7d.", param, ctx)
        return int(found[1]) * _SECONDS[found[2]] * 1000


@click.group("media")
def command() -> None:
    """What lies in storage, against what the histories name."""


@command.command("strays")
@click.option("--delete", is_flag=True, help="Delete the strays whose work has ended.")
@click.option(
    "--older-than", type=Age(), default="24h", show_default=True, metavar="AGE",
    help="Delete only what is older: 90s, 30m, 24h, 7d.",
)  # fmt: skip
@conditional_reason_option
@json_option
@data_option
def strays(delete: bool, older_than: int, reason: str | None, as_json: bool, data: Path) -> int:
    """List what lies in storage and no history names, and what a history names and is lost.

    The whole bucket is compared with every job and upload. What interrupted attempts leave is
    removed by the sweeper soon after their job's end, and the rest every night; nothing has to be
    done here. Exit code 1 when something is lost.
    """
    from domain.acts import DELETE_STRAYS
    from handlers.operating.strays import Comparing
    from handlers.operating.tidying import media_bucket

    parts = application(data, writing=delete)
    if delete:
        note(parts, DELETE_STRAYS, f"older than {older_than // 1000} s", reason)
    display = terminal.display(as_json)
    with display.waiting("Compare", "the whole bucket with all histories"):
        comparing = Comparing(parts.store, media_bucket(parts), parts.clock.now)
        found = comparing.run(older_than if delete else None)
    if as_json:
        terminal.emit(found)
    else:
        _tell(found, older_than, deleted=delete, display=display, data=data)
    return FAILED if found.lost else 0


def _tell(
    found: Compared, older: int, *, deleted: bool, display: terminal.Display, data: Path
) -> None:
    size = terminal.size(found.bytes)
    unfinished = counted(found.uploads, "unfinished upload")
    display.fact("Compared", f"{counted(found.objects, 'object')}, {size}, and {unfinished}")
    _tell_strays(found.strays, display)
    if found.lost:
        _tell_lost(found, display)
    if deleted:
        kept = len(found.strays) - found.removed
        rest = f"; {kept} too young, or of work that no history here knows" if kept else ""
        display.fact("Deleted", f"{counted(found.removed, 'stray')}{rest}")
    elif ripe := [s for s in found.strays if s.deletable(older)]:
        delete = f"{command_line('media', 'strays', data=other_data(data))} --delete --reason TEXT"
        old = "is" if len(ripe) == 1 else "are"
        display.fact(
            "Next", f"the sweeper removes them within a day; `{delete}` at once "
            f"({len(ripe)} {old} old enough)",
        )  # fmt: skip


def _tell_strays(strays: list[Stray], display: terminal.Display) -> None:
    if not strays:
        display.fact("Strays", "none: a history names everything in storage", "green")
        return
    total = terminal.size(sum(s.found.size for s in strays))
    display.fact("Strays", f"{len(strays)}, {total}, named by nothing", "yellow")
    display.blank()
    table = Table("key", "size", "age", "of", right=("size", "age"), below=("key",))
    for stray in sorted(strays, key=lambda s: -s.age)[:_SHOWN]:
        size = "upload" if stray.found.upload_id else terminal.size(stray.found.size)
        table.add_row(stray.found.key, size, _age(stray.age), _whose(stray))
    table.draw(display.console)
    _more(len(strays), display.console)
    display.blank()


def _tell_lost(found: Compared, display: terminal.Display) -> None:
    display.fact("Lost", f"{counted(len(found.lost), 'key')} named and not there", "red")
    display.blank()
    table = Table("key", "of", below=("key",))
    for lost in found.lost[:_SHOWN]:
        table.add_row(lost.key, f"{lost.stream}, {lost.status}")
    table.draw(display.console)
    _more(len(found.lost), display.console)
    display.blank()


def _more(count: int, console: Console) -> None:
    if count > _SHOWN:
        hanging(console, "", f"And {count - _SHOWN} more; --json lists all.", 0, "dim")


def _whose(stray: Stray) -> str:
    kind = stray.found.stream.partition("-")[0]
    return f"{stray.status} {kind}".strip()


def _age(milliseconds: int) -> str:
    """The two largest units, for a column."""
    minutes = milliseconds // 60_000
    if minutes < 60:
        return f"{minutes}{GLUE}min"
    hours = minutes // 60
    return f"{hours}{GLUE}h" if hours < 48 else f"{hours // 24}{GLUE}d"
