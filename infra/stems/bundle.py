"""All stems in one zip, uncompressed: audio does not shrink, and players can read it at once."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from domain.audio import Cancelled

_CHUNK = 1 << 20
# Zips carry local times without a zone; the same stems should be the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(target: Path, files: Mapping[str, Path], cancelled: Callable[[], bool]) -> None:
    """A zip of ``files`` by their names in it. Raises Cancelled; OSError, the target is removed."""
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as bundle:
            for name, path in files.items():
                entry = zipfile.ZipInfo(name, _TIME)
                entry.external_attr = 0o644 << 16
                entry.file_size = path.stat().st_size
                with path.open("rb") as source, bundle.open(entry, "w") as out:
                    _copy(source, out, cancelled)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(source: IO[bytes], out: IO[bytes], cancelled: Callable[[], bool]) -> None:
    while chunk := source.read(_CHUNK):
        if cancelled():
            raise Cancelled
        out.write(chunk)
