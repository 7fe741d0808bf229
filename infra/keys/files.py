"""Secrets in files, beside the journal: made once, fsynced, readable by their owner only.

This is the local stack's key store. Losing the directory makes personal fields unreadable
and signs everybody out; back it up with the journal.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class KeyFiles:
    """A directory of secrets; implements KeyStore."""

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
        draft = _draft(path, make())
        try:
            os.link(draft, path)  # fails when another process was first: then theirs counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync_directory(path.parent)
        return path.read_bytes()

    def change(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of the secret in its place: readers see either one whole."""
        with self._locked(name):
            path = self._directory / name
            secret = change(self.get(name))
            _draft(path, secret).replace(path)
            _sync_directory(path.parent)
            return secret

    def destroy(self, name: str) -> None:
        """Forget a secret for good."""
        path = self._directory / name
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync_directory(path.parent)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Keep other processes out that change the same secret, until the block ends."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._directory / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # which gives the lock back


def _draft(path: Path, secret: bytes) -> Path:
    """The secret in a file beside that path, on the disk and readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
