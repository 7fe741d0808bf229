"""Run the components as child processes, restart what crashes, stop them in order."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from msgspec import Struct

from infra.local.process import exited, how_it_ended, last_error, size_of, spawn, terminate
from infra.local.signals import StopSignals

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 10.0
# A component that ran this long was fine: its next crash starts from a short backoff again.
_SETTLED_SECONDS = 30.0
_TICK_SECONDS = 0.1

Ended = Literal["stopped", "unhealthy"]


class Component(Struct, frozen=True):
    """A program to keep running. ``grace``: seconds from SIGTERM to SIGKILL."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    grace: float = 10.0


class _Child:
    """One component's current process and its restart schedule."""

    def __init__(self, component: Component, log: Path) -> None:
        self.component = component
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._log_began = 0
        self._restart_at = 0.0
        self._backoff = _FIRST_BACKOFF

    def start(self) -> None:
        before = size_of(self.log)
        self.process = spawn(self.component.argv, self.component.env, self.log)
        # A log that became too long has been put aside, and a new one was begun.
        self._log_began = before if size_of(self.log) >= before else 0
        self._started = time.monotonic()

    def tend(self) -> str | None:
        """Notice a crash or carry out a due restart; what happened, in words."""
        if self.process is None:
            if time.monotonic() < self._restart_at:
                return None
            self.start()
            return f"{self.component.name} started again"
        if not exited(self.process):
            return None
        return self._crashed(self.process.returncode)

    def _crashed(self, returncode: int) -> str:
        if time.monotonic() - self._started > _SETTLED_SECONDS:
            self._backoff = _FIRST_BACKOFF
        delay, self._backoff = self._backoff, min(self._backoff * 2, _LONGEST_BACKOFF)
        self.process = None
        self._restart_at = time.monotonic() + delay
        # One that was killed did not end of what it had last complained about.
        error = last_error(self.log, self._log_began) if returncode >= 0 else ""
        said = f": {error}" if error else ""
        return (
            f"{self.component.name} ended ({how_it_ended(returncode)}){said}; "
            f"starting again in {delay:g} s, log in {self.log}"
        )


def to_stderr(line: str) -> None:
    """The default place for reports."""
    print(line, file=sys.stderr, flush=True)


class Supervisor:
    """Keeps ``components`` running, each in a session of its own with a log in ``logs``.

    They start in the given order and stop in the reverse one, each waiting for the next, so put
    what others depend on first. All of it happens in the caller's (main) thread: ``run`` blocks;
    a caller with other work calls ``start``, now and then ``tend``, and ``stop``. Children die
    with this process however it ends.
    """

    def __init__(
        self,
        components: Sequence[Component],
        logs: Path,
        report: Callable[[str], None] = to_stderr,
    ) -> None:
        self._children = [_Child(c, logs / f"{c.name}.log") for c in components]
        self._report = report

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by component."""
        return {c.component.name: c.process.pid for c in self._children if c.process is not None}

    def start(self) -> None:
        """Start every component, in order."""
        for child in self._children:
            child.start()

    def tend(self) -> None:
        """One look around: report what crashed, restart what is due. Never blocks."""
        for child in self._children:
            if happened := child.tend():
                self._report(happened)

    def run(self, signals: StopSignals, healthy: Callable[[], bool] = lambda: True) -> Ended:
        """Tend until a signal asks to stop, or until ``healthy()`` no longer holds.

        The components still run when it returns: call ``stop``.
        """
        with signals.deferred():
            while not signals.requested:
                if not healthy():
                    return "unhealthy"
                self.tend()
                time.sleep(_TICK_SECONDS)
        return "stopped"

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop every component, last started first; ``hurry()`` turning true kills the rest."""
        for child in reversed(self._children):
            if child.process is None:
                continue
            by_itself = terminate(child.process, 0.0 if hurry() else child.component.grace, hurry)
            # Whoever is in a hurry asked for it.
            if not by_itself and not hurry():
                self._report(f"{child.component.name} was killed: it did not stop by itself")
            child.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
