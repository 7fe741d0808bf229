"""What commands print: calm on a terminal, plain text in a pipe, JSON when asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from handlers.cli.speed import Speed, told
from handlers.cli.tables import GLUE, hanging
from handlers.cli.words import safe
from infra.clock import stamp

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH = 11
# In a pipe nothing needs to fit a screen: lines stay whole for grep.
_PIPE_WIDTH = 240
# A whole progress bar and what stands beside it; a narrower window gets a short one.
_BAR_FITS = 90
# In a pipe, long work says how far it is so often.
_PLAIN_SECONDS = 10.0


def console(stream: Any = None) -> Console:
    """A console on ``stream`` (standard output); it writes no control characters to a pipe."""
    from rich.console import Console

    target = sys.stdout if stream is None else stream
    width = None if target.isatty() else _PIPE_WIDTH
    return Console(file=target, highlight=False, width=width, emoji=False, markup=False)


def emit(value: object) -> None:
    """Print a value as JSON, and nothing else, on standard output."""
    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.write(text.decode() + "\n")


def times(moments: Sequence[int]) -> tuple[str, list[str]]:
    """Epoch milliseconds for a column (UTC): what heads it, and each; a common day stands once."""
    stamps = [stamp(each).removesuffix("Z").split("T") for each in moments]
    days = {day for day, _ in stamps}
    if len(days) == 1:
        return f"{days.pop()} UTC", [clock for _, clock in stamps]
    return "time (UTC)", [f"{day} {clock}" for day, clock in stamps]


def size(count: float) -> str:
    """Bytes for people; the unit stays with its number."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f}{GLUE}{unit}" if unit == "B" else f"{count:.1f}{GLUE}{unit}"
        count /= 1000
    return f"{count:.2f}{GLUE}GB"


def duration(seconds: float) -> str:
    """``850 ms``, ``12.3 s``, ``3:05 min`` or ``1:02:03 h``; the unit stays with its number."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}{GLUE}ms"
    if seconds < 60:
        return f"{seconds:.1f}{GLUE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}{GLUE}min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}{GLUE}h"


class Bar(Protocol):
    """Progress of one step."""

    def to(
        self, done: float, note: str = "", total: float | None = None, left: float | None = None
    ) -> None:
        """So much of the total is done; what is being done now; the total, if it has changed.

        left: seconds to the end, where somebody knows better than the bar.
        """


class Display:
    """The story that a command tells while it works: facts, and a bar for what takes time."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def fact(self, label: str, text: str, style: str = "") -> None:
        """One line: what, and how it stands. A long text goes on below its own beginning."""
        hanging(self.console, f"  {label}", safe(text, keep=GLUE), LABEL_WIDTH + 3, style)

    def blank(self) -> None:
        """An empty line."""
        self.console.print()

    @contextmanager
    def bar(
        self,
        label: str,
        total: float,
        *,
        of_bytes: bool = False,
        unit: str = "",
        guess: bool = True,
    ) -> Iterator[Bar]:
        """A progress bar that vanishes at the end; in a pipe, one line per new note.

        unit: what is counted; then rate and time left are told too, in a pipe now and then.
        guess: the time left from how fast it has gone; without, ``to`` is told.
        """
        if not self.console.is_terminal:
            yield _Plain(self, label, total, unit)
            return
        progress = _progress(self.console, label, of_bytes, guess and not unit)
        with progress:
            yield _Live(progress, progress.add_task("", total=total or 1, note=""), unit)

    @contextmanager
    def waiting(self, label: str, text: str) -> Iterator[None]:
        """A quiet sign of life for a wait without measure."""
        if not self.console.is_terminal:
            yield
            return
        line = f"[dim]{label:<{LABEL_WIDTH}}[/dim] {text}"
        with self.console.status(line, spinner="dots", spinner_style="dim"):
            yield


class Silent(Display):
    """Says nothing: standard output is for JSON and nobody watches standard error."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(Console(quiet=True))


def display(as_json: bool) -> Display:
    """For people on standard output; under ``--json`` on standard error, if it is a terminal."""
    if not as_json:
        return Display(console())
    return Display(console(sys.stderr)) if sys.stderr.isatty() else Silent()


def _progress(console: Console, label: str, of_bytes: bool, guess: bool) -> Any:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    whole = Column(no_wrap=True)
    wide = console.width >= _BAR_FITS
    shown: list[ProgressColumn] = [BarColumn(bar_width=32 if wide else 10)]
    shown.append(DownloadColumn(table_column=whole) if of_bytes else TaskProgressColumn())
    if of_bytes and wide:
        shown.append(TransferSpeedColumn())
    if wide and guess:
        shown.append(TimeRemainingColumn(elapsed_when_finished=True))
    return Progress(
        TextColumn(f"  [dim]{label:<{LABEL_WIDTH}}[/dim]", table_column=whole),
        *shown,
        TextColumn("[dim]{task.fields[note]}[/dim]", table_column=whole),
        console=console,
        transient=True,
    )


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = max(1, round(seconds))
    return f", about {f'{whole}{GLUE}s' if whole < 60 else duration(whole)} left"


class _Live:
    def __init__(self, progress: Any, task: Any, unit: str = "") -> None:
        self._progress = progress
        self._task = task
        self._unit = unit
        self._speed = Speed()

    def to(
        self, done: float, note: str = "", total: float | None = None, left: float | None = None
    ) -> None:
        if total is not None:
            self._progress.update(self._task, total=total or 1)
        if self._unit and not note:
            self._speed.to(done)
            note = told(done, self._progress.tasks[0].total, self._unit, self._speed)
        note += _left(left)
        self._progress.update(self._task, completed=done, note=note.replace(GLUE, " "))


class _Plain:
    def __init__(self, display: Display, label: str, total: float = 0, unit: str = "") -> None:
        self._display = display
        self._label = label
        self._total = total
        self._unit = unit
        self._speed = Speed()
        self._note = ""
        self._began = self._said = time.monotonic()

    def to(
        self, done: float, note: str = "", total: float | None = None, left: float | None = None
    ) -> None:
        self._total = self._total if total is None else total
        if note and note != self._note:
            self._note = note
            after = duration(time.monotonic() - self._began)
            self._display.fact(self._label, f"{note}, after {after}{_left(left)}")
        if self._unit and not note:
            self._speed.to(done)
            if time.monotonic() - self._said >= _PLAIN_SECONDS:
                self._said = time.monotonic()
                self._display.fact(self._label, told(done, self._total, self._unit, self._speed))
