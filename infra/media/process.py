"""One ffmpeg as a child: pipes with back-pressure, a time limit, a cancellation check.

``ffmpeg-python`` writes the arguments; its ``run_async`` can neither start a session nor
bind the child's life to ours, so the process is started here from its ``compile``, through
the launcher that confines it (``sandbox``).
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import IO, Any, Self

import ffmpeg
import imageio_ffmpeg  # type: ignore[import-untyped]  # ships no type information
import structlog
from msgspec import Struct

from domain.audio import Cancelled
from domain.errors import MediaError

POLL_SECONDS = 0.1
STALL_SECONDS = 90.0
PIPE_BYTES = 1 << 20
LOG_BYTES = 256 * 1024


class Outcome(Struct, frozen=True):
    """How ffmpeg ended.

    code: exit status, negative for a signal; log: head and end of its stderr; cpu_seconds: user and
    system time of all its threads.
    """

    code: int
    log: str
    cpu_seconds: float


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


class Child:
    """A running program; leaving the context kills it if it has not ended.

    timeout: seconds that we may spend waiting for it, all waits together: what its caller does
    between them (a network, say) is not its fault. A single wait ends after STALL_SECONDS, since
    time limits for long songs are long and a child that hangs is not. cancelled: polled about ten
    times a second while we wait, in the calling thread. Every method raises Cancelled, and
    MediaError ``ffmpeg_timeout``; starting raises MediaError ``ffmpeg_failed`` where it cannot be
    run. The child dies with the thread that started it.
    """

    def __init__(
        self,
        command: list[str],
        *,
        timeout: float,
        cancelled: Callable[[], bool] = never,
        stdin: bool = False,
        stdout: bool = False,
    ) -> None:
        self._patience = _Patience(timeout, cancelled)
        self._process = _start(command, stdin=stdin, stdout=stdout)
        if self._process.stdin:
            os.set_blocking(self._process.stdin.fileno(), False)
        self._ready, self._log = select.poll(), bytearray()
        self._cpu_seconds = 0.0
        if self._process.stderr:
            self._ready.register(self._process.stderr, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read(self, buffer: bytearray) -> int:
        """Fills the buffer from the child's stdout; how many bytes came, fewer at the end."""
        assert self._process.stdout, "started without stdout"
        fd, view, done = self._process.stdout.fileno(), memoryview(buffer), 0
        while done < len(view):
            self._await(fd, select.POLLIN)
            count = os.readv(fd, [view[done:]])
            if not count:
                break
            done += count
        return done

    def write(self, data: bytes) -> bool:
        """Feeds all of it to the child's stdin; false when the child no longer listens."""
        assert self._process.stdin, "started without stdin"
        fd, left = self._process.stdin.fileno(), memoryview(data)
        while left:
            self._await(fd, select.POLLOUT)
            try:
                left = left[os.write(fd, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False
        return True

    def end(self) -> Outcome:
        """Closes stdin and waits for the child's own end."""
        _close(self._process.stdin)
        self._patience.progress()
        while self._process.stderr and not self._process.stderr.closed:
            self._listen_to(self._patience.poll(self._ready))
        while not self._reaped(os.WNOHANG):
            self._patience.sleep(0.002)
        log = self._log.decode("utf-8", "replace")
        if log.startswith("confined: "):
            structlog.get_logger().error("ffmpeg could not be started", launcher=log.strip())
            raise not_startable()
        return Outcome(self._process.returncode, log, self._cpu_seconds)

    def stop(self) -> None:
        """Kills it at once unless it has ended, and closes the pipes."""
        if not self._reaped(os.WNOHANG):
            with suppress(ProcessLookupError):
                self._process.kill()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reaped(0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            _close(pipe)

    def _await(self, fd: int, event: int) -> None:
        self._ready.register(fd, event)
        self._patience.progress()
        try:
            while not self._listen_to(self._patience.poll(self._ready), fd):
                pass
        finally:
            self._ready.unregister(fd)

    def _listen_to(self, events: list[tuple[int, int]], wanted: int = -1) -> bool:
        """Keeps what the child says on stderr; whether the wanted pipe is ready."""
        ready = {fd for fd, _ in events}
        stderr = self._process.stderr
        if stderr and not stderr.closed and stderr.fileno() in ready:
            chunk = os.read(stderr.fileno(), PIPE_BYTES)
            self._log.extend(chunk)
            # The head names container and codec, the end tells why it ended.
            del self._log[LOG_BYTES // 2 : -LOG_BYTES // 2]
            if not chunk:
                self._ready.unregister(stderr)
                stderr.close()
        return wanted in ready

    def _reaped(self, flags: int) -> bool:
        if self._process.returncode is None:
            # Not Popen.wait: only wait4 tells what the child used.
            process, status, used = os.wait4(self._process.pid, flags)
            if not process:
                return False
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._cpu_seconds = used.ru_utime + used.ru_stime
        return True


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
            pipesize=PIPE_BYTES,
            bufsize=0,
        )
    except OSError as error:
        raise not_startable() from error


def not_startable() -> MediaError:
    """The error of an ffmpeg that is not there, or not for this machine."""
    return MediaError("ffmpeg_failed", "ffmpeg could not be started; ask the operator to check it.")


def too_slow() -> MediaError:
    """The error of a run that took more time than it was given."""
    return MediaError(
        "ffmpeg_timeout",
        "Reading or writing this audio took longer than its time limit; try again, "
        "or convert the file to WAV or FLAC first.",
    )


def _close(pipe: IO[bytes] | None) -> None:
    if pipe:
        with suppress(BrokenPipeError):
            pipe.close()


class _Patience:
    """Time left to wait, and the wish to go on."""

    def __init__(self, timeout: float, cancelled: Callable[[], bool]) -> None:
        self._left, self._cancelled, self._next = timeout, cancelled, 0.0
        self._stalled = 0.0

    def progress(self) -> None:
        """The child did something: the next wait is a new one."""
        self._stalled = 0.0

    def poll(self, ready: select.poll) -> list[tuple[int, int]]:
        """The pipes that are ready now or within a tenth of a second."""
        self._check()
        begun = time.monotonic()
        events = ready.poll(POLL_SECONDS * 1000)
        self._waited(time.monotonic() - begun)
        return events

    def sleep(self, seconds: float) -> None:
        self._check()
        time.sleep(seconds)
        self._waited(seconds)

    def _waited(self, seconds: float) -> None:
        self._left -= seconds
        self._stalled += seconds

    def _check(self) -> None:
        if self._left <= 0 or self._stalled >= STALL_SECONDS:
            raise too_slow()
        now = time.monotonic()
        if now >= self._next:
            self._next = now + POLL_SECONDS
            if self._cancelled():
                raise Cancelled
