"""Stems into a folder, under names that it and a terminal can bear."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from domain import filenames
from domain.errors import SplitSoundError
from handlers.client import downloads
from handlers.client.bodies import Job
from handlers.client.client import Client
from handlers.client.downloads import DownloadFailed

_MOST_BYTES = 255


def names(job: Job) -> list[str]:
    """The files' names, such as a folder and a terminal can bear: the stems', then the zip's."""
    return [_plain_name(each.filename, n) for n, each in enumerate(downloads.links(job), 1)]


def fetch(client: Client, job: Job, folder: Path, moved: Callable[[int], None]) -> list[Path]:
    """Download the stems of a finished job, then its zip. moved: called with all bytes so far."""
    folder.mkdir(parents=True, exist_ok=True)
    before = 0
    files = []
    for number, (link, name) in enumerate(zip(downloads.links(job), names(job), strict=True), 1):
        target = _inside(folder, name)
        # Not of the target's name, which may be as long as names can be.
        draft = folder / f".stem-{number}.{os.getpid()}.part"
        try:
            downloads.fetch(client, job.job_id, link, target, draft, _from(before, moved))
        except DownloadFailed as error:
            again = "Run the same command again; the job is done and costs nothing more."
            raise SplitSoundError(f"{error} {again}") from error
        files.append(target)
        before += link.bytes
    return files


def _from(before: int, moved: Callable[[int], None]) -> Callable[[int], None]:
    return lambda count: moved(before + count)


def _plain_name(filename: str, number: int) -> str:
    # The name comes from a server: it must neither leave the folder nor speak to the terminal.
    name = Path(filename).name
    if name in ("", ".", "..") or name != filenames.printable(name):
        return f"stem-{number}.audio"
    if len(name.encode()) <= _MOST_BYTES:
        return name
    # The number, because what told the stems apart may have been cut off.
    long = Path(name)
    return f"{filenames.shortened(long.stem)} {number}{filenames.shortened(long.suffix, 16)}"


def _inside(folder: Path, name: str) -> Path:
    # Whatever _plain_name lets through, nothing is ever written elsewhere.
    target = folder / name
    if os.path.split(os.path.abspath(target)) != (os.path.abspath(folder), name):  # noqa: PTH100
        raise SplitSoundError("The API names a stem by a path outside its folder; is it the API?")
    return target
