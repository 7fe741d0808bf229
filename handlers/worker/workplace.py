"""Directories for jobs in progress, and the removal of what a killed worker left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import Invalid
from handlers.worker.space import Space

_PREFIX = "splitsound-"


class Workplace:
    """``<root>/splitsound-<random>/``; root: a disk with room for songs in progress.

    A lock held on the directory says that its worker lives, in whatever container: process ids mean
    nothing on a disk that several of them share. Raises Invalid for a root that cannot be written
    to: no song could ever be begun there.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root or Path(tempfile.gettempdir())
        _require_writable(self.root)
        with _locked(self.root):
            self._remove_orphans()
            self._home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.root))
            self._lock = _hold(self._home)
        self.space = Space(self.root)

    def path(self, name: str) -> Path:
        """Where ``directory`` puts that one."""
        return self._home / name

    @contextmanager
    def directory(self, name: str) -> Iterator[Path]:
        """An empty directory, removed afterwards."""
        path = self.path(name)
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self._home, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove_orphans(self) -> None:
        for path in self.root.glob(_PREFIX + "*"):
            lock = _hold(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _hold(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed; None while somebody else holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None  # somebody else's, or just removed
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One worker at a time: a directory must not be taken for an orphan before it is locked."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _require_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise Invalid(
            f"The worker cannot write to {root} ({error.strerror}). Let SPLITSOUND_WORK_DIRECTORY "
            "name a directory that it may write to."
        ) from error
