"""Tables that never lose a digit: what does not fit goes on a line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handlers.cli.words import safe

if TYPE_CHECKING:
    from rich.console import Console

GLUE = "\N{NO-BREAK SPACE}"
"""Between a number and its unit: no line ends there; it is printed as a space."""

_GAPS = (2, 1)
_INDENT = 4
# Text is not squeezed into less than this.
_NARROWEST = 16


class Table:
    """Columns and rows. A cell is never cropped, and only ``below`` ever goes on on a next line.

    Where a window is too narrow for all, the ``below`` columns go on an indented line under
    their row, then the ``spare`` ones are left out, the first named first; where that does not
    help either, each row becomes a block of ``label: value`` lines. right: numbers.
    """

    def __init__(
        self,
        *columns: str,
        right: Sequence[str] = (),
        below: Sequence[str] = (),
        spare: Sequence[str] = (),
    ) -> None:
        self._columns = columns
        self._right = right
        self._below = below
        self._spare = spare
        self._rows: list[dict[str, str]] = []

    def add_row(self, *cells: str) -> None:
        """One cell for each column."""
        clean = (safe(cell, keep=GLUE) for cell in cells)
        self._rows.append(dict(zip(self._columns, clean, strict=True)))

    def draw(self, console: Console) -> None:
        """Print it as wide as the window allows; in a pipe every row is one line."""
        room = console.width if console.is_terminal else 0
        if self._lay(console, self._columns, (), room):
            return
        own_line = [name for name in self._columns if name in self._below]
        for dropped in range(len(self._spare) + 1):
            absent = [*own_line, *self._spare[:dropped]]
            columns = [name for name in self._columns if name not in absent]
            if self._lay(console, columns, own_line, room):
                return
        self._blocks(console)

    def _lay(
        self, console: Console, columns: Sequence[str], below: Sequence[str], room: int
    ) -> bool:
        """Print these columns unless they need more than ``room`` (0: there is no end to it)."""
        from rich.cells import cell_len

        widths = {
            name: max(cell_len(text) for text in (name, *(row[name] for row in self._rows)))
            for name in columns
        }
        gap = next((g for g in _GAPS if not room or _sum(widths, g) <= room), None)
        if gap is None:
            return False
        write(console, self._line({name: name for name in columns}, widths, gap), "dim")
        for row in self._rows:
            write(console, self._line(row, widths, gap))
            for text in filter(None, (row[name] for name in below)):
                for line in wrapped(text, room - _INDENT):
                    write(console, " " * _INDENT + line)
        return True

    def _line(self, row: dict[str, str], widths: dict[str, int], gap: int) -> str:
        from rich.cells import cell_len

        cells = []
        for name, width in widths.items():
            fill = " " * (width - cell_len(row[name]))
            cells.append(fill + row[name] if name in self._right else row[name] + fill)
        return (" " * gap).join(cells)

    def _blocks(self, console: Console) -> None:
        shown = [name for name in self._columns if name not in self._spare]
        indent = max(map(len, shown)) + 3
        for row in self._rows:
            for name in filter(row.get, shown):
                hanging(console, f"{name}:", row[name], indent)
            write(console, "")


def _sum(widths: dict[str, int], gap: int) -> int:
    return sum(widths.values()) + gap * (len(widths) - 1)


def wrapped(text: str, room: int) -> list[str]:
    """Lines of whole words; a word that is longer than ``room`` stands alone and stays whole.

    A no-break space holds a number and its unit together. room: columns; 0 or less: one line.
    """
    from rich.cells import cell_len

    if room <= 0:
        return [text]
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def hanging(
    console: Console, head: str, text: str, indent: int, style: str = "", *, mark: str = "dim"
) -> None:
    """``head``, and beside it, at ``indent``, ``text``; below it where that is too narrow."""
    from rich.cells import cell_len

    room = console.width if console.is_terminal else 0
    needed = max(_NARROWEST, *(cell_len(word) for word in text.split(" "))) if indent else 0
    if room and needed > room - indent:
        if head.strip():
            _print(console, head, "", style, mark)
        for line in wrapped(text, room - _INDENT):
            write(console, " " * _INDENT + line, style)
        return
    first, *more = wrapped(text, room - indent if room else 0)
    _print(console, f"{head:<{indent}}", first, style, mark)
    for line in more:
        write(console, " " * indent + line, style)


def write(console: Console, text: str, style: str = "") -> None:
    """One line as it is: not wrapped, not cropped, nothing at its end."""
    _print(console, "", text, style, "")


def _print(console: Console, head: str, text: str, style: str, mark: str) -> None:
    from rich.text import Text

    line = Text.assemble((head, mark), (text.replace(GLUE, " "), style))
    line.rstrip()
    console.print(line, soft_wrap=True)
