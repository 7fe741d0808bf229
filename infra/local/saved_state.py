"""What the emulator wrote at its last clean stop, and whether it may be believed.

ministack saves each service's state to a file of its own at a clean stop only. A kill in the
middle leaves new files beside missing ones, and a later kill would leave the files of a stop
long before: it then starts without complaint on tables of one moment and queues of another. So
its directory counts only while a manifest says that all of it came from one stop and nothing
has run since. Whatever else is found is put aside; the journal brings the commits back, and S3
objects live elsewhere.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec

_MANIFEST = "complete.json"


class SavedState:
    """The state directory (``path``) and its two neighbours, ``.loaded`` and ``.aside``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # What the running emulator started from: of no use to the next start.
        self._loaded = path.with_name(path.name + ".loaded")
        # The last one that could not be believed, kept for whoever wants to look.
        self.aside = path.with_name(path.name + ".aside")

    def prepare(self) -> bool:
        """Before a start: put aside what is not whole. Returns whether that was necessary."""
        whole = not self.path.exists() or self._is_whole()
        if not whole:
            _move(self.path, self.aside)
        self.path.mkdir(parents=True, exist_ok=True)
        return not whole

    def taken(self) -> None:
        """After a start: what was loaded must not be loaded twice, should we be killed."""
        _move(self.path, self._loaded)
        self.path.mkdir()

    def complete(self) -> None:
        """After a clean stop: vouch for what the emulator has written."""
        manifest = {file.name: _digest(file) for file in sorted(self.path.glob("*.json"))}
        (self.path / _MANIFEST).write_bytes(msgspec.json.encode(manifest))
        shutil.rmtree(self._loaded, ignore_errors=True)

    def _is_whole(self) -> bool:
        if not any(self.path.iterdir()):
            return True
        try:
            raw = (self.path / _MANIFEST).read_bytes()
            manifest = msgspec.json.decode(raw, type=dict[str, str])
            return all(_digest(self.path / name) == seen for name, seen in manifest.items())
        except (OSError, msgspec.DecodeError):
            return False


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _move(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    source.rename(target)
