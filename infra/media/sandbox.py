"""How a program is started confined: the parent's half of ``confined``.

An upload is bytes from a stranger and ffmpeg is a million lines of C, so it is given as little
to misuse as it can work with: the one file that it reads or writes, and its own code.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import structlog
from msgspec import Struct

from infra.media.process import binary

_LAUNCHER = str(Path(__file__).with_name("confined.py"))
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
# What the dynamic loader looks libraries up in, and where random seeds come from.
_ALWAYS = ("/etc/ld.so.cache", "/dev/urandom")
_LAYERS = re.compile(r"landlock=(\d+) seccomp=(\d)")


class Limits(Struct, frozen=True):
    """What a program may use.

    cpu_seconds: processor time of all its threads; memory: bytes of private memory; file:
    bytes of a file that it writes.
    """

    cpu_seconds: int = 600
    memory: int = 512 << 20  # four times what any format was seen to need
    file: int = 0


def cpu_limit(timeout: float) -> int:
    """Seconds of processor time for a run that may be waited for so long.

    Its decoder, filters and encoder have threads of their own, and it may work while nobody waits.
    """
    return 10 + 4 * math.ceil(timeout)


def confined(
    command: list[str],
    *,
    read: Iterable[Path] = (),
    write: Iterable[Path] = (),
    limits: Limits = Limits(),  # noqa: B008 - it cannot change
) -> list[str]:
    """The command as the launcher's: it may read and write these paths and do little else.

    read: files, or directories with all below them; write: files that exist.
    The first call logs a warning where the kernel cannot confine.
    """
    _warned()
    program = shutil.which(command[0]) or command[0]
    return [*_launch(limits, [*needed(program), *read], write), program, *command[1:]]


def confinement() -> str:
    """What is in force on this machine, for people."""
    landlock, seccomp = _layers()
    parts = ["limits on time, memory and file size"]
    if seccomp:
        parts.append("seccomp (no sockets, no child processes)")
    if landlock:
        network = ", no TCP" if landlock >= 4 else ""
        parts.append(f"Landlock {landlock} (no file but the song{network})")
    return "; ".join(reversed(parts))


@lru_cache(maxsize=8)
def needed(program: str) -> tuple[Path, ...]:
    """The program, the libraries that its loader maps, and what the loader reads."""
    try:
        done = subprocess.run(
            [program],
            env={**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return (Path(program),)
    libraries = _LIBRARY.findall(done.stdout.decode("utf-8", "replace"))
    return tuple(Path(name) for name in (os.path.realpath(program), *libraries, *_ALWAYS))


def _launch(limits: Limits, read: Iterable[Path], write: Iterable[Path]) -> list[str]:
    return [
        sys.executable,
        "-I",
        "-S",
        _LAUNCHER,
        f"parent={os.getpid()}",
        f"cpu={limits.cpu_seconds}",
        f"memory={limits.memory}",
        f"file={limits.file}",
        *(f"read={path.absolute()}" for path in read),
        *(f"write={path.absolute()}" for path in write),
        "--",
    ]


@lru_cache(maxsize=1)
def _layers() -> tuple[int, bool]:
    """Landlock's version (0: none) and whether seccomp holds: tried, not asked for."""
    done = subprocess.run(
        _launch(Limits(), (), ()), capture_output=True, text=True, timeout=30, check=False
    )
    found = _LAYERS.search(done.stdout)
    return (int(found[1]), found[2] == "1") if found else (0, False)


@lru_cache(maxsize=1)
def _warned() -> None:
    landlock, seccomp = _layers()
    if not (landlock and seccomp):
        structlog.get_logger().warning(
            "ffmpeg is not fully confined on this kernel",
            in_force=confinement(),
            advice="use Linux 5.13 or newer with landlock in its lsm= list",
            ffmpeg=binary(),
        )
