"""Room on the disks of the journal and the keys, and errors that come of having none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from domain.errors import AccessDenied, StorageFull, Unavailable
from infra.settings import Settings

# Below this a disk counts as full: what is left is for whoever cleans up.
LEAST_BYTES = 1024 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NotWritable(Exception):
    """Nothing can be stored there; says why."""


def directories(settings: Settings) -> dict[str, Path]:
    """What this process writes to on disks of its own."""
    found = {"journal": settings.journal, "keys": settings.keys}
    return {name: path for name, path in found.items() if path is not None}


def require_room(directory: Path) -> None:
    """Cheap: asks the file system, writes nothing. Raises NotWritable."""
    try:
        told = os.statvfs(directory)
    except OSError as error:
        raise NotWritable(f"its directory cannot be read: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise NotWritable("its directory cannot be written")
    # No blocks, no files: a file system that does not count them.
    if told.f_blocks and told.f_bavail * told.f_frsize < LEAST_BYTES:
        raise NotWritable("no room left on its disk")
    if told.f_files and not told.f_favail:
        raise NotWritable("no inodes left on its disk")


def named(error: Exception, settings: Settings) -> Exception:
    """StorageFull where a full disk is why, else the error itself.

    Some of what we call says only that it could not; then the disks are asked.
    """
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return StorageFull(str(cause))
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, Unavailable) and not isinstance(error, StorageFull | AccessDenied):
        try:
            for directory in directories(settings).values():
                require_room(directory)
        except NotWritable:
            return StorageFull(error.detail)
    return error
