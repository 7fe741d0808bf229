"""Files that appear together and complete, in a folder that one process at a time writes to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from domain.errors import Invalid


@contextmanager
def drafted(folder: Path, names: Sequence[str], *, replace: bool) -> Iterator[dict[str, Path]]:
    """Where to write each file. When all is written they get their names, the last name last.

    Whatever ends it early leaves what was there before. The last file vouches for the others, so
    an old one goes first. Raises Invalid when another process writes there, and, without
    ``replace``, when one of the files is there.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _alone(descriptor, folder)
        there = [name for name in names if (folder / name).exists()]
        if there and not replace:
            raise Invalid(f"{folder} has {', '.join(there)} already; --force replaces them.")
        # One name for all times: what a killed process left is written over.
        drafts = {name: folder / f".{name}.part" for name in names}
        try:
            yield drafts
            (folder / names[-1]).unlink(missing_ok=True)
            for name, draft in drafts.items():
                draft.replace(folder / name)
            os.fsync(descriptor)
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
        if made:
            with suppress(OSError):  # it is empty only where nothing came of it
                folder.rmdir()


def _alone(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Invalid(
            f"Another export is writing into {folder}; wait for its end, or name another folder."
        ) from None
