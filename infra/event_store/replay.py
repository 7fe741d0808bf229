"""Reading the local journal back: in order, merged into one file, and into an empty emulator.

All of this runs while no process writes: ``merge`` and ``restore`` refuse otherwise, because a
commit that reached a lost emulator and is journaled only now would meet another one in its place.

A transaction is one line per stream, and a power cut may tear the write between them. Such a
half was acknowledged to nobody, and nobody built on it without journaling its peers first. So it
is the last commit of its stream, and is left out like a torn line: with one half, a job would be
done for free, or credits held for ever.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from domain.commit import JOURNALED, Commit, Tip
from domain.errors import HistoryBroken, Invalid
from infra.event_store.importer import Imported, Importer
from infra.event_store.journal import MERGED, open_locked, sync_directory
from infra.event_store.lines import End, decode, read_lines
from infra.event_store.store import CommitStore
from infra.event_store.transfer import Progress, write_commits

_TRANSACTION_COMMITS = 50


class _Place(Struct, frozen=True, gc=False):
    """Where a commit's line stands. hash: the commit's, to tell two apart.

    bound: it counts only with its peers. One imported from another stage stands without them.
    """

    file: int
    offset: int
    hash: bytes
    bound: bool


_Index = dict[str, dict[int, _Place]]


def commits(directory: Path) -> Iterator[Commit]:
    """Every journaled commit once, each stream's together and in order.

    Memory holds an index of places, about 200 bytes per commit, and no bodies. A torn last
    line of a process's file was never acknowledged and is left out, and so is a commit at the
    end of its stream whose peers stand in no file.

    Raises Invalid for any other broken line, HistoryBroken for two commits at one place.
    """
    with contextlib.ExitStack() as stack:
        files: list[BinaryIO] = [stack.enter_context(path.open("rb")) for path in _files(directory)]
        index = _indexed(files)
        _leave_out_halves(files, index)
        for stream, places in index.items():
            for first in sorted(places):
                yield _standing(files, places[first], stream)


def merge(directory: Path, progress: Progress | None = None) -> End:
    """Rewrite all files as one export, ``merged.jsonl``, and remove the processes' own.

    The new file stands on the disk before an old one goes, so that a crash at any moment
    leaves every commit in at least one of them. Raises JournalInUse, and HistoryBroken where
    a stream's chain does not hold.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _held(directory) as written:
        target = directory / MERGED
        draft = target.with_suffix(".tmp")
        with draft.open("wb") as out:
            end = write_commits(commits(directory), out, progress)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
        sync_directory(directory)
        for path in written:
            path.unlink()
        sync_directory(directory)
    return end


def restore(directory: Path, store: CommitStore, progress: Progress | None = None) -> Imported:
    """Write the journaled commits that the store lacks, marked with origin ``journal``.

    What was imported from another stage keeps that mark: its open jobs must go on sleeping.
    One scan says where the store's streams end, so a store that lacks nothing is only read.
    Raises JournalInUse, and HistoryBroken when the two tell different histories.
    """
    with _held(directory):
        tips: dict[str, Tip] = {}
        for commit in store.scan():
            tips[commit.stream] = Tip(commit.stream, commit.last, commit.hash, commit.t)
        importer = Importer(store, None, _TRANSACTION_COMMITS, tips)
        count = 0
        for commit in commits(directory):
            marked = msgspec.structs.replace(commit, origin=commit.origin or JOURNALED)
            importer.add(marked, f"Journaled commit {commit.first} of {commit.stream}")
            count += 1
            if progress and count % 100 == 0:
                progress(count)
        importer.flush()
        if progress:
            progress(count)
    return importer.imported


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[list[Path]]:
    """The processes' files, locked, so that none of them is alive."""
    with contextlib.ExitStack() as stack:
        written = [path for path in _files(directory) if path.name != MERGED]
        for path in written:
            stack.callback(os.close, open_locked(path, os.O_RDONLY))
        yield written


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))


def _indexed(files: Sequence[BinaryIO]) -> _Index:
    index: _Index = {}
    for number, file in enumerate(files):
        for offset, commit in _complete(file):
            places = index.setdefault(commit.stream, {})
            bound = bool(commit.peers) and commit.origin in (None, JOURNALED)
            place = _Place(number, offset, commit.hash, bound)
            other = places.setdefault(commit.first, place)
            if other.hash != commit.hash:
                raise HistoryBroken(
                    f"{commit.stream} version {commit.first}: {files[other.file].name} and "
                    f"{file.name} hold different commits. Keep both files and decide by hand."
                )
            if not bound:
                # Restoring marks an imported commit as restored; the older line knows better.
                places[commit.first] = place
    return index


def _leave_out_halves(files: Sequence[BinaryIO], index: _Index) -> None:
    """Take every last commit out that lacks a peer, until none does; see the module's text."""
    waiting = list(index)
    while waiting:
        stream = waiting.pop()
        places = index.get(stream)
        if not places:
            continue
        last = max(places)
        if not places[last].bound:
            continue
        peers = _standing(files, places[last], stream).peers
        if any(p.first not in index.get(p.stream, ()) for p in peers):
            del places[last]
            # Now its peers are halves, and the commit before it is the last.
            waiting += [stream, *(p.stream for p in peers)]


def _standing(files: Sequence[BinaryIO], place: _Place, stream: str) -> Commit:
    files[place.file].seek(place.offset)
    commit = decode(files[place.file].readline(), stream)
    assert isinstance(commit, Commit)
    return commit


def _complete(file: BinaryIO) -> Iterator[tuple[int, Commit]]:
    """Each whole line's place and commit. Raises Invalid, also for a merged file without end."""
    is_merged = Path(file.name).name == MERGED
    offset = 0
    end: End | None = None
    for where, line in read_lines(file, f"{file.name} line"):
        if not line.endswith(b"\n") and not is_merged:
            return
        said = decode(line, where)
        if isinstance(said, End):
            end = said
        else:
            yield offset, said
        offset += len(line)
    if is_merged and end is None:
        raise Invalid(f"{file.name} lacks its last line: it is cut. Restore it from a backup.")
