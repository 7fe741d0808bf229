"""Keys in files, beside the journal: made once, fsynced, readable by their owner only.

This is the local stack's key store. Losing the directory makes personal fields unreadable
and signs everybody out; back it up with the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


class KeyFiles:
    """A directory of secrets."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str) -> bytes | None:
        """The secret, or None when there is none of that name."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def get_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret; the first caller among all processes makes it."""
        found = self.get(name)
        if found is not None:
            return found
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # fails when another process was first: then theirs counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync_directory(path.parent)
        return path.read_bytes()

    def destroy(self, name: str) -> None:
        """Forget a secret for good."""
        (self._directory / name).unlink(missing_ok=True)
        _sync_directory(self._directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
