"""Directories for jobs in progress, and the removal of what a killed worker left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import Invalid
from handlers.worker.space import Space


class Workplace:
    """``<root>/splitsound-<pid>/``; root: a disk with room for decoded songs.

    Raises Invalid for a root that cannot be written to: no song could ever be begun there.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root or Path(tempfile.gettempdir())
        self._home = self.root / f"splitsound-{os.getpid()}"
        _require_writable(self.root)
        self._remove_orphans()
        self.space = Space(self.root)

    @contextmanager
    def directory(self, name: str) -> Iterator[Path]:
        """An empty directory, removed afterwards."""
        path = self._home / name
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self._home, ignore_errors=True)

    def _remove_orphans(self) -> None:
        for path in self.root.glob("splitsound-*"):
            pid = path.name.rpartition("-")[2]
            if pid.isdigit() and (int(pid) == os.getpid() or not Path(f"/proc/{pid}").exists()):
                shutil.rmtree(path, ignore_errors=True)


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
