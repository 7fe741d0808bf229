"""Child processes that never outlive us."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

_LEASH = Path(__file__).with_name("leash.py")
_ROTATE_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.02
_TAIL_BYTES = 64 * 1024
# The last line of a traceback, ``sqlite3.OperationalError: disk I/O error``, or ``Error: ...``.
_RAISED = re.compile(r"(?:\w+\.)*\w*(?:[Ee]rror|Exception|Interrupt|Exit)(?::|$)")


def leashed(argv: Sequence[str]) -> list[str]:
    """``argv`` such that the program dies, by SIGKILL, with the thread that starts it.

    Linux sends the signal when the starting *thread* ends, so start it from one that lives as
    long as the program should. Grandchildren are not covered: whoever starts one leashes it too.
    """
    return [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *argv]


def spawn(argv: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``argv`` on a leash, in a session of its own, writing to the end of ``log``.

    The own session keeps a terminal's Ctrl-C away from the child: whoever spawned it stops it,
    in order. Raises RuntimeError off the main thread, see ``leashed``.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started from the main thread, or they die with a thread")
    log.parent.mkdir(parents=True, exist_ok=True)
    _rotate(log)
    with log.open("ab") as output:
        return subprocess.Popen(
            leashed(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; if so, what it left in its process group is killed.

    The group is killed before the leader is reaped: afterwards its number may be a stranger's.
    """
    if process.returncode is not None:
        return True
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return False
    _kill_group(process)
    process.wait()
    return True


def terminate(
    process: subprocess.Popen[bytes], grace: float, hurry: Callable[[], bool] = lambda: False
) -> bool:
    """SIGTERM, then SIGKILL to the whole group after ``grace`` seconds or once ``hurry()``.

    Returns whether the process went by itself.
    """
    if exited(process):
        return True
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while not exited(process):
        if time.monotonic() >= deadline or hurry():
            _kill_group(process)
            process.wait()
            return False
        time.sleep(_POLL_SECONDS)
    return True


def how_it_ended(returncode: int) -> str:
    """A return code in words: ``exit code 1`` or ``SIGKILL``."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, for an error message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-count:])


def last_error(log: Path, start: int = 0) -> str:
    """What the last error in a log says, in one line; empty when there is none.

    start: the byte where to begin, so that an earlier run is not blamed.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next(filter(None, map(_error_in, reversed(lines))), "")


def _error_in(line: str) -> str:
    """The message of a log entry that is an error, or the last line of a traceback."""
    if not line.startswith("{"):
        return line.strip() if _RAISED.match(line) else ""
    try:
        entry = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return ""
    if entry.get("level") not in ("error", "critical"):
        return ""
    raised = str(entry.get("exception", "")).strip().splitlines()
    return ": ".join([str(entry.get("event", "")), *raised[-1:]])


def size_of(log: Path) -> int:
    """Bytes in a log; 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # The leader is not reaped yet, dead or alive, so the group still exists.
    os.killpg(process.pid, signal.SIGKILL)


def _rotate(log: Path) -> None:
    """Keep one older file, so that logs of a stack that runs for weeks stay bounded."""
    try:
        if log.stat().st_size > _ROTATE_BYTES:
            log.replace(log.with_suffix(log.suffix + ".1"))
    except FileNotFoundError:
        pass
