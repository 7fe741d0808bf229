"""What a demo that was killed could not remove: the next one does."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

# A demo that starts has no lock yet.
_GRACE_SECONDS = 600.0


def remove(prefix: str, lock: str) -> None:
    """Remove our directories of that prefix in the temporary one whose ``lock`` nobody holds."""
    for place in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if _ours(place) and _abandoned(place, place / lock):
            shutil.rmtree(place, ignore_errors=True)


def _ours(place: Path) -> bool:
    return not place.is_symlink() and place.is_dir() and place.stat().st_uid == os.getuid()


def _abandoned(place: Path, lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return place.exists() and time.time() - place.stat().st_mtime > _GRACE_SECONDS
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
