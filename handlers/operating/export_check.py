"""Check the files of a ledger export against their signed manifest, without any stack."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from domain.errors import HistoryBroken, NotFound
from handlers.operating.exporting import (
    FORMAT,
    LINES,
    MANIFEST,
    TABLE,
    Counted,
    FileMark,
    Manifest,
    Sealed,
)
from infra.digests.sealing import require_signed
from projections.audit.rows import COLUMNS, LedgerRow, cells

_CHUNK = 1 << 20


def checked(folder: Path, trusted: Sequence[bytes]) -> Manifest:
    """The manifest, once everything fits it. trusted: public keys in PEM.

    Raises NotFound where a file is missing, HistoryBroken where something was changed.
    """
    manifest = _opened(folder, trusted)
    for name, mark in manifest.files.items():
        if _mark(_present(folder, name)) != mark:
            raise HistoryBroken(f"{folder / name} was changed after it was exported.")
    counted = Counted()
    with (
        (folder / LINES).open("rb") as lines,
        (folder / TABLE).open(encoding="utf-8", newline="") as text,
    ):
        table = csv.reader(text)
        same = next(table, None) == list(COLUMNS)
        decode = msgspec.json.Decoder(LedgerRow).decode
        for line in lines:
            told = decode(line)
            counted.add(told, wrong=False)
            same = same and next(table, None) == [str(cell) for cell in cells(told)]
        same = same and next(table, None) is None
    if not same:
        raise HistoryBroken(f"{folder / TABLE} says something else than {LINES}.")
    if (counted.events, counted.sums) != (manifest.events, manifest.sums):
        raise HistoryBroken(f"The rows of {folder / LINES} do not give the manifest's sums.")
    return manifest


def _opened(folder: Path, trusted: Sequence[bytes]) -> Manifest:
    path = _present(folder, MANIFEST)
    try:
        sealed = msgspec.json.decode(path.read_bytes(), type=Sealed)
        manifest = msgspec.json.decode(sealed.manifest, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HistoryBroken(f"{path} is damaged: {error}.") from error
    if manifest.format != FORMAT or set(manifest.files) != {LINES, TABLE}:
        raise HistoryBroken(f"{path} is of a kind that this version does not know.")
    require_signed(str(path), sealed.manifest, sealed.signature, manifest.key, trusted)
    return manifest


def _present(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise NotFound(f"There is no {path}; an export has {LINES}, {TABLE} and {MANIFEST}.")
    return path


def _mark(path: Path) -> FileMark:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        size += len(chunk)
    return FileMark(digest.hexdigest(), size)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        read: Callable[[], bytes] = lambda: file.read(_CHUNK)  # noqa: E731 - iter wants a call
        yield from iter(read, b"")
