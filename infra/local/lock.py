"""One stack per data directory: who runs it, where it answers, how to stop it."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from infra.local.errors import AlreadyRunning, LocalStackError

_LOCK = "lock"
_RUN = "run.json"
_POLL_SECONDS = 0.05


class RunState(msgspec.Struct, frozen=True):
    """What ``run.json`` says about the process that holds the data directory.

    ``started`` is the process's start time in clock ticks since boot: with it a number that the
    kernel has given to another process is never mistaken for ours.
    """

    pid: int
    started: int
    urls: dict[str, str]

    @property
    def url(self) -> str | None:
        """The address to tell people, once the stack has one."""
        return self.urls.get("api") or next(iter(self.urls.values()), None)


class DataLock:
    """Holds a data directory for this process, until released or until the process ends.

    The kernel drops an flock with its holder, so a killed stack leaves nothing to clean up.
    """

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the directory or raise AlreadyRunning."""
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(self._dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A few tries: `running` takes the lock for an instant to see whether it is free.
        for _ in range(5):
            if _flock(fd, fcntl.LOCK_EX):
                self._fd = fd
                self.publish({})
                return
            time.sleep(_POLL_SECONDS)
        os.close(fd)
        state = _read(self._dir)
        known = state if state and _start_ticks(state.pid) == state.started else None
        raise AlreadyRunning(known.pid if known else None, known.url if known else None)

    def publish(self, urls: Mapping[str, str]) -> None:
        """Write ``run.json``: this process, and the addresses it answers at (``api``, ...)."""
        if self._fd is None:
            raise RuntimeError("publish needs the lock")
        pid = os.getpid()
        state = RunState(pid=pid, started=_start_ticks(pid) or 0, urls=dict(urls))
        path = self._dir / _RUN
        draft = path.with_suffix(".tmp")
        draft.write_bytes(msgspec.json.encode(state) + b"\n")
        draft.replace(path)

    def release(self) -> None:
        """Give the directory back; harmless when not held."""
        if self._fd is None:
            return
        (self._dir / _RUN).unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def running(data_dir: Path) -> RunState | None:
    """The stack that holds ``data_dir`` now, or None. A stale ``run.json`` counts for nothing."""
    if not _held(data_dir):
        return None
    state = _read(data_dir)
    if state is None or _start_ticks(state.pid) != state.started:
        return None
    return state


def take_down(data_dir: Path, timeout: float = 60.0) -> RunState | None:
    """Stop the stack that holds ``data_dir`` and wait until it has let go.

    Returns what was stopped, or None when nothing ran. Asks once more, which means *hurry*,
    after ``timeout`` seconds; raises LocalStackError when even that does not help.
    """
    state = running(data_dir)
    if state is None:
        return None
    try:
        # The descriptor names the process itself; checked after it is open, so that the number
        # cannot have been given away in between.
        pidfd = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return state
    try:
        if _start_ticks(state.pid) != state.started or not _held(data_dir):
            return state
        for patience in (timeout, 10.0):
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            if _released(data_dir, patience):
                return state
    except ProcessLookupError:
        return state
    finally:
        os.close(pidfd)
    raise LocalStackError(f"pid {state.pid} does not stop; its logs are in {data_dir / 'logs'}")


def _held(data_dir: Path) -> bool:
    try:
        fd = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _released(data_dir: Path, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while _held(data_dir):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(data_dir: Path) -> RunState | None:
    try:
        return msgspec.json.decode((data_dir / _RUN).read_bytes(), type=RunState)
    except (OSError, msgspec.DecodeError):
        return None


def _start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; the name before it may hold spaces and brackets."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])
