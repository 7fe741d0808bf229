"""Where stems go: a folder of the song's name that never holds another job's files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from domain import filenames
from domain.audio import FORMATS
from domain.errors import SplitSoundError
from handlers.cli import download
from handlers.cli.outcome import BadInput
from handlers.cli.words import named
from handlers.client.bodies import Job

_MARKER = ".splitsound.json"
_MOST = 10_000


class Contents(Struct, frozen=True, omit_defaults=True):
    """What a folder holds. song: SHA-256 of its bytes; files: the stems, with their format.

    prompt, format: what was looked for, and a format that the names do not tell; the files of
    another one have the same names.
    """

    song: str
    model: str | None
    files: list[str]
    prompt: str | None = None
    format: str | None = None


def folder_for(song: Path, out: Path) -> Path:
    """``<out>/<song name>``, or ``<out>/song`` where the name cannot be a folder's."""
    # The stem of `...mp3` is `..`.
    name = filenames.printable(song.stem).strip()
    return out / (filenames.shortened(name) if name.strip(".") else "song")


def check(song: Path, out: Path) -> None:
    """Raises BadInput where the stems could not be written; leaves everything as it was."""
    folder = folder_for(song, out)
    for place in (out, folder) if folder.is_dir() else (out,):
        try:
            _try(place)
        except OSError as error:
            why = f"{named(place)} cannot be written ({error.strerror})"
            raise BadInput(f"{why}: name another folder with --out.") from error


def _try(place: Path) -> None:
    missing = [each for each in (place, *place.parents) if not os.path.lexists(each)]
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir()
            made.append(each)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".splitsound-") as file:
            file.write(b"splitsound")
    finally:
        for each in reversed(made):
            each.rmdir()


def claim(song: Path, digest: str, job: Job, out: Path) -> Path:
    """The folder for this job's stems: the song's own, or ``<song> (2)`` where others lie there.

    The same song, taken apart the same way, finds its folder again.
    """
    known = FORMATS.get(job.format or "")
    untold = job.format if known and known.extension != job.format else None
    contents = Contents(digest, job.model, download.names(job), job.prompt, untold)
    first = folder_for(song, out)
    for number in range(1, _MOST):
        folder = first if number == 1 else first.with_name(f"{first.name} ({number})")
        if _free_for(contents, folder):
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f"{_MARKER}.{os.getpid()}.part"
            draft.write_bytes(msgspec.json.encode(contents) + b"\n")
            draft.replace(folder / _MARKER)
            return folder
    raise SplitSoundError(f"{named(out)} is full of {named(first.name)}; name another with --out.")


def _free_for(contents: Contents, folder: Path) -> bool:
    if not folder.is_dir():
        return not os.path.lexists(folder)
    try:
        return msgspec.json.decode((folder / _MARKER).read_bytes(), type=Contents) == contents
    except (OSError, msgspec.DecodeError):
        # No folder of ours: it may be used as long as nothing in it is replaced.
        return not any(os.path.lexists(folder / name) for name in contents.files)
