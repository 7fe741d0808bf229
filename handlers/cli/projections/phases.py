"""A bar for each phase of a long work on a read model."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from handlers.cli.tables import GLUE
from handlers.cli.terminal import Bar, Display

if TYPE_CHECKING:
    from projections.rebuild import Progress

_LABELS = {
    "settle": "Settle", "fold": "Fold", "prove": "Prove", "sweep": "Sweep", "verify": "Verify",
}  # fmt: skip
_UNITS = {"fold": "commits", "prove": "rows", "sweep": "commits", "verify": "commits"}


class Phases:
    """Hears of progress, from any thread, and draws the phase that is on."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._phase = ""
        self._bar: Bar | None = None
        self._open: AbstractContextManager[object] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Phases:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def __call__(self, progress: Progress) -> None:
        """The work is so far."""
        with self._lock:
            if progress.phase != self._phase:
                self._begin(progress)
            if self._bar:
                self._bar.to(progress.done, total=progress.total)

    def _begin(self, progress: Progress) -> None:
        self._close()
        self._phase = progress.phase
        label = _LABELS[progress.phase]
        if progress.phase == "settle":
            text = f"until every process writes to both generations, a few{GLUE}seconds"
            self._open = self._display.waiting(label, text)
            self._open.__enter__()
            return
        opened = self._display.bar(label, progress.total, unit=_UNITS[progress.phase])
        self._open = opened
        self._bar = opened.__enter__()

    def _close(self) -> None:
        if self._open:
            self._open.__exit__(None, None, None)
        self._open = self._bar = None
