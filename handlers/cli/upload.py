"""A song of this machine, and its way up, in words for who types commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from domain.errors import SplitSoundError
from handlers.cli.outcome import BadInput
from handlers.cli.words import command_line, named
from handlers.client import uploads
from handlers.client.bodies import Upload
from handlers.client.client import Client
from handlers.client.uploads import File, FileChanged, UploadFailed


def check_path(path: Path) -> int:
    """The file's size in bytes. Raises BadInput when it cannot be a song."""
    if not path.exists():
        raise BadInput(f"There is no file {named(path)}.")
    if not path.is_file():
        raise BadInput(f"{named(path)} is not a file; name one song.")
    if not os.access(path, os.R_OK):
        raise BadInput(f"{named(path)} may not be read by you; check its permissions.")
    size = path.stat().st_size
    if not size:
        raise BadInput(f"{named(path)} is empty; name a file with sound in it.")
    return size


def read_song(path: Path, seen: Callable[[int], None] = lambda _: None) -> File:
    """Hash the file. seen: called with the bytes read so far. Raises BadInput."""
    check_path(path)
    return uploads.read(path, seen)


def open_session(client: Client, song: File, lost: Collection[str] = ()) -> Upload:
    """See ``uploads.open_session``."""
    try:
        return uploads.open_session(client, song, lost)
    except UploadFailed as error:
        raise SplitSoundError(f"{error} Run `{command_line('doctor')}`.") from error


def send(client: Client, song: File, session: Upload, sent: Callable[[int], None]) -> Upload:
    """See ``uploads.send``."""
    try:
        return uploads.send(client, song, session, sent)
    except FileChanged as error:
        raise BadInput(
            f"{named(song.path)} became shorter while it was sent; try again."
        ) from error
    except UploadFailed as error:
        again = f"Run the same command again; if it goes on, `{command_line('doctor')}`."
        raise SplitSoundError(f"{error} {again}") from error
