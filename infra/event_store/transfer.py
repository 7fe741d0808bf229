"""Export and import of commits: backups, moving between stages, and the local journal.

An export checks each stream's hash chain as it goes and ends with a line that counts and
hashes the rest, so a file that was cut or edited is noticed. An import checks both, writes only
what the store lacks, and can be run again after any interruption. Both need memory for one
batch and a small entry per stream, whatever the file's size.

An export runs while commands do, and a scan meets one stream before and another one after a
transaction of both. So an export is closed under peers: it holds all commits of a transaction
or none. A stream may therefore come in two runs, the second near the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol

from domain.closing import Halves, closed
from domain.commit import Commit, Tip, verify_chain
from domain.errors import HistoryBroken, Invalid
from infra.event_store.importer import Imported, Importer
from infra.event_store.lines import FORMAT, End, decode, encode, encode_end, read_lines
from infra.event_store.store import CommitStore

Progress = Callable[[int], object]
"""Told the number of commits so far, about every hundred and at the end."""

_BATCH_COMMITS = 500
_BATCH_BYTES = 8 * 1024 * 1024


class Writable(Protocol):
    """Where an export goes."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


def export_events(store: CommitStore, out: Writable, progress: Progress | None = None) -> End:
    """Write every commit of the store. Raises HistoryBroken where a chain does not hold.

    Each transaction is there as a whole, also one that was committed meanwhile, unless the
    store itself holds only a part of it, from the import of an export that was not closed.
    """
    return write_commits(closed(store), out, progress)


def write_commits(
    commits: Iterable[Commit], out: Writable, progress: Progress | None = None
) -> End:
    """Write commits, each stream's in order, and the line that ends the file."""
    digest = hashlib.sha256()
    count = 0
    tips: dict[str, Tip] = {}
    for commit in commits:
        verify_chain((commit,), tips.get(commit.stream))
        tips[commit.stream] = Tip(commit.stream, commit.last, commit.hash, commit.t)
        line = encode(commit)
        digest.update(line)
        out.write(line)
        count += 1
        _report(progress, count)
    end = End(FORMAT, count, len(tips), digest.hexdigest())
    out.write(encode_end(end))
    if progress:
        progress(count)
    return end


def import_events(
    store: CommitStore,
    source: BinaryIO,
    origin: str = "import",
    progress: Progress | None = None,
    transaction: int = 1,
) -> Imported:
    """Write the commits of an export that the store lacks, marked with ``origin``.

    transaction: commits per put, see Importer.

    A file that can be rewound is checked as a whole first; a pipe is checked as it flows, so
    a cut one leaves whole commits behind, which the next import skips.

    Raises Invalid for a file that is cut or no export, HistoryBroken for one that was edited
    or that tells another history than the store; of such a stream nothing is written. Also,
    after all is written, HistoryBroken for a transaction of which a commit is lacking.
    """
    if source.seekable():
        start = source.tell()
        for where, line in _checked(source):
            if not _commit(line, where).intact():
                raise HistoryBroken(
                    f"{where} was changed after it was exported. Nothing was imported; take the "
                    "file as it was exported."
                )
        source.seek(start)
    importer = Importer(store, origin, transaction)
    halves = Halves()
    count = 0
    for where, line in _checked(source):
        commit = _commit(line, where)
        halves.note(commit)
        importer.add(commit, where)
        count += 1
        _report(progress, count)
    importer.flush()
    if progress:
        progress(count)
    _require_closed(halves, store)
    return importer.imported


def _require_closed(halves: Halves, store: CommitStore) -> None:
    while peer := halves.take():
        found = next(store.newest_first(peer.stream, peer.first, page=1), None)
        if found is None or found.as_peer() != peer:
            raise HistoryBroken(
                f"{peer.stream} version {peer.first} stands neither in the file nor in the store, "
                "but the other half of its transaction is in the file: this export is not closed, "
                "as older releases wrote it while commands ran. All that it holds was imported. "
                "Export again and import that file too; what is already there is skipped."
            )


def _commit(line: bytes, where: str) -> Commit:
    commit = decode(line, where)
    if isinstance(commit, End):
        raise Invalid(f"{where} ends an export that goes on; files were joined.")
    return commit


def _checked(source: BinaryIO) -> Iterable[tuple[str, bytes]]:
    """The commit lines of an export. Raises Invalid unless its end line says they are all."""
    digest = hashlib.sha256()
    count = 0
    lines = read_lines(source)
    for where, line in lines:
        if not line.startswith(b'{"kind":"end"'):
            count += 1
            digest.update(line)
            # The hash only helps whoever sees the end; a single bad line is named at once.
            if not line.endswith(b"\n") or not line.startswith(b'{"kind":"commit"'):
                decode(line, where)
            yield where, line
            continue
        end = decode(line, where)
        assert isinstance(end, End)
        if (end.commits, end.sha256) != (count, digest.hexdigest()):
            raise Invalid(
                f"{where} says that {end.commits} lines with SHA-256 {end.sha256} stand before "
                f"it, but {count} with {digest.hexdigest()} do: the file was edited. Take the "
                "file as it was exported."
            )
        for after, _ in lines:
            raise Invalid(f"{after} stands after the end of the export; files were joined.")
        return
    raise Invalid(
        f"The file ends after line {count} without the line that ends an export: it is cut. "
        "Take the whole file and import again; what is already there is skipped."
    )


def _report(progress: Progress | None, count: int) -> None:
    if progress and count % 100 == 0:
        progress(count)
