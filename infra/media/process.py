"""One ffmpeg run: its own session, a time limit, a cancellation check, bounded memory.

``ffmpeg-python`` writes the arguments; its ``run_async`` can neither start a session nor
bind the child's life to ours, so the process is started here from its ``compile``.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import ffmpeg
import imageio_ffmpeg  # type: ignore[import-untyped]  # ships no type information

from domain.audio import Cancelled
from domain.errors import MediaError

POLL_SECONDS = 0.1
PIPE_BYTES = 1 << 20
LOG_BYTES = 256 * 1024
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Outcome(NamedTuple):
    """How ffmpeg ended. code: exit status, negative for a signal; log: head of its stderr."""

    code: int
    log: str


def never() -> bool:
    """The ``cancelled`` of work that nobody can cancel."""
    return False


@lru_cache(maxsize=1)
def _found() -> str:
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def binary() -> str:
    """The ffmpeg to run: ``SPLITSOUND_FFMPEG``, else the system's, else the bundled one."""
    return os.environ.get("SPLITSOUND_FFMPEG") or _found()


def arguments(stream: Any) -> list[str]:
    """The command line for an ffmpeg-python output node."""
    quiet = stream.global_args("-hide_banner", "-nostdin", "-nostats")
    command: list[str] = ffmpeg.compile(quiet, cmd=binary(), overwrite_output=True)
    return command


def run(
    command: list[str],
    *,
    timeout: float,
    cancelled: Callable[[], bool] = never,
    feed: Iterator[bytes] | None = None,
    sink: Callable[[bytes], None] | None = None,
) -> Outcome:
    """Runs ffmpeg to its end, pumping ``feed`` into stdin and stdout into ``sink``.

    timeout: seconds for the whole run; cancelled: polled about ten times a second in this
    thread. An exception from ``sink`` or ``feed`` stops the run and propagates.
    Raises Cancelled, or MediaError ``ffmpeg_timeout`` or ``ffmpeg_failed`` (not startable).
    """
    process = _start(command, stdin=feed is not None, stdout=sink is not None)
    watch = _Watch(time.monotonic() + timeout, cancelled)
    try:
        log = _pump(process, watch, feed, sink)
        while process.poll() is None:
            watch()
            time.sleep(0.002)
        return Outcome(process.returncode, log.decode("utf-8", "replace"))
    finally:
        _stop(process)


def _start(command: list[str], *, stdin: bool, stdout: bool) -> subprocess.Popen[bytes]:
    # Our environment stays outside: FFREPORT writes files, *_proxy opens doors.
    kept = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"AV_LOG_FORCE_NOCOLOR": "1", "LC_ALL": "C", **kept},
            start_new_session=True,
            preexec_fn=_die_with_parent if _libc else None,  # noqa: PLW1509 - see there
            pipesize=PIPE_BYTES,
            bufsize=0,
        )
    except OSError as error:
        raise MediaError(
            "ffmpeg_failed", "ffmpeg could not be started; ask the operator to check it."
        ) from error


def _die_with_parent() -> None:
    """In the child: be killed when the thread that waits for us goes, whatever ended it.

    Only a bound C function is called here, as a forked child of a threaded parent must.
    """
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


class _Watch:
    """Raises when time is up or the work was cancelled."""

    def __init__(self, deadline: float, cancelled: Callable[[], bool]) -> None:
        self._deadline, self._cancelled, self._next = deadline, cancelled, 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._deadline:
            raise MediaError(
                "ffmpeg_timeout",
                "Reading or writing this audio took longer than its time limit; try again, "
                "or convert the file to WAV or FLAC first.",
            )
        if now >= self._next:
            self._next = now + POLL_SECONDS
            if self._cancelled():
                raise Cancelled


def _pump(
    process: subprocess.Popen[bytes],
    watch: _Watch,
    feed: Iterator[bytes] | None,
    sink: Callable[[bytes], None] | None,
) -> bytearray:
    """Moves bytes until ffmpeg closes its pipes; the head of its log."""
    log = bytearray()

    def keep(chunk: bytes) -> None:
        log.extend(chunk[: LOG_BYTES - len(log)])

    with selectors.DefaultSelector() as ready:
        if process.stderr:
            ready.register(process.stderr, selectors.EVENT_READ, _Drain(keep))
        if process.stdout and sink:
            ready.register(process.stdout, selectors.EVENT_READ, _Drain(sink))
        if process.stdin and feed is not None:
            os.set_blocking(process.stdin.fileno(), False)
            ready.register(process.stdin, selectors.EVENT_WRITE, _Fill(feed))
        while ready.get_map():
            watch()
            for key, _ in ready.select(POLL_SECONDS):
                if not key.data(key.fd):
                    ready.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]  # a pipe, never an int
    return log


class _Drain:
    """Reads what is there; false at the end of the pipe."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink

    def __call__(self, fd: int) -> bool:
        chunk = os.read(fd, PIPE_BYTES)
        if chunk:
            self._sink(chunk)
        return bool(chunk)


class _Fill:
    """Writes what fits; false when all is written or ffmpeg no longer listens."""

    def __init__(self, feed: Iterator[bytes]) -> None:
        self._feed, self._left = feed, memoryview(b"")

    def __call__(self, fd: int) -> bool:
        if not self._left:
            self._left = memoryview(next(self._feed, b""))
            if not self._left:
                return False
        try:
            self._left = self._left[os.write(fd, self._left) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # its exit status tells the rest
        return True
