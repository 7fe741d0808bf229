"""A model added to a directory: its files copied, loaded once, then listed; all of it or nothing.

Files lie in a folder of their own that carries the version, so that replacing a model never
touches what a running worker reads, and the manifest is replaced in one step.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.errors import Invalid
from infra.separators import checkpoints
from infra.separators.model_store import LocalStore
from infra.separators.model_store_manifest import MANIFEST, Entry, File, decode, encode, entry_of

_PIECE = 1 << 20


class Addition(Struct, frozen=True):
    """entry: as it is to be listed, its files' names and sums aside. replace: one of its name.

    files: checkpoints in their order; config: the configuration among them, if any.
    """

    directory: Path
    entry: Entry
    files: tuple[Path, ...]
    config: Path | None = None
    replace: bool = False


def add(addition: Addition, moved: Callable[[int], None]) -> Entry:
    """Copy, load, list. moved: told the bytes of each piece read.

    Raises Invalid where the entry, the manifest or the name does not allow it; ModelError
    ``model_unavailable`` where the files do not make the model that they are said to be;
    OSError where they cannot be read or copied. Nothing is left behind then.
    """
    _checked(addition, addition.entry)  # before long work
    entry = _listed(addition, moved)
    store = LocalStore(addition.directory)
    folder = addition.directory / _folder(entry)
    fresh = not folder.exists()
    try:
        for source, file in zip(_sources(addition), entry.files, strict=True):
            _copy(source, addition.directory / file.name)
        checkpoints.load(store, entry)
        with _alone(addition.directory):
            entries = _checked(addition, entry)
            kept = [each for each in entries if each.name != entry.name]
            _write(addition.directory / MANIFEST, encode([*kept, entry]))
    except BaseException:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return entry


def size(addition: Addition) -> int:
    """Bytes of all its files. Raises OSError."""
    return sum(path.stat().st_size for path in _sources(addition))


def _sources(addition: Addition) -> tuple[Path, ...]:
    return addition.files + ((addition.config,) if addition.config else ())


def _listed(addition: Addition, moved: Callable[[int], None]) -> Entry:
    """The entry with its files; those that lie in the store already stay where they are."""
    sums = [_sum(path, moved) for path in _sources(addition)]
    files = tuple(
        File(path.name, sha256, count)
        for path, (sha256, count) in zip(_sources(addition), sums, strict=True)
    )
    config = addition.config.name if addition.config else ""
    entry = msgspec.structs.replace(addition.entry, files=files, config=config)
    root = addition.directory.resolve()
    placed = []
    for path, file in zip(_sources(addition), files, strict=True):
        here = path.resolve()
        inside = here.is_relative_to(root)
        name = here.relative_to(root).as_posix() if inside else f"{_folder(entry)}/{file.name}"
        placed.append(msgspec.structs.replace(file, name=name))
    return msgspec.structs.replace(
        entry, files=tuple(placed), config=placed[-1].name if config else ""
    )


def _folder(entry: Entry) -> str:
    return f"{entry.name}-{entry.version[:8]}"


def _checked(addition: Addition, entry: Entry) -> list[Entry]:
    """What the manifest lists, if that and the entry fit together. Raises Invalid."""
    manifest = addition.directory / MANIFEST
    entries: list[Entry] = []
    if manifest.exists():
        content = LocalStore(addition.directory).manifest()
        entries = decode(content, str(manifest), checkpoints.built_in())
    if any(each.name == entry.name for each in entries) and not addition.replace:
        raise Invalid(f"{manifest} has a model {entry.name!r}: choose another name, or --replace.")
    return entries


def _sum(path: Path, moved: Callable[[int], None]) -> tuple[str, int]:
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            count += len(piece)
            moved(len(piece))
    return digest.hexdigest(), count


def _copy(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, draft)
        _sync(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Two additions at once would each forget the other's entry."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def proposed(fields: dict[str, object], files: Sequence[Path], config: Path | None) -> Entry:
    """An entry of those fields, as strictly read as in a manifest; its files have no sums yet.

    Raises Invalid.
    """
    names = [path.name for path in files] + ([config.name] if config else [])
    unknown = [{"name": name, "sha256": "0" * 64, "bytes": 1} for name in names]
    raw = fields | {"files": unknown, "config": config.name if config else ""}
    entry = entry_of(raw, "That model cannot be added")
    if entry.name in checkpoints.built_in():
        raise Invalid(f"A model {entry.name!r} is built in: choose another name.")
    return entry
