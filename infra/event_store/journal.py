"""The local journal: an append returns only after its commits stand, fsynced, in a file.

The emulator is no database, so on one laptop every commit also goes to a JSON Lines file of
the process that wrote it. A process may die after its commit reached the emulator and before
it reached the journal; whoever builds on such a commit, or answers from it, must not be left
without it. Therefore a load and a read journal the tip that they found, with that commit's
peers, unless this process knows them to be journaled. By induction every journaled commit has
its whole past, peers included, in the files of some process; only a write that a power cut
tore may hold some of a transaction's commits and not the others, and nothing builds on those:
``replay.py`` leaves them out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from commands.ports import Clock
from domain.commit import GENESIS, Commit
from domain.errors import Conflict, StorageFull, Unavailable
from infra.event_store.lines import encode
from infra.event_store.store import SNAPSHOT_COMMITS, CommitStore

MERGED = "merged.jsonl"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_KNOWN = 65_536
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class JournalInUse(Conflict):
    """Another living process writes that file."""

    retryable = False


class Journal:
    """One process's file of commits, appended and fsynced. Safe to share between threads.

    Opening cuts off a last line that an earlier process died in. Raises JournalInUse.
    """

    def __init__(self, directory: Path, process_name: str) -> None:
        if not _NAME.fullmatch(process_name) or f"{process_name}.jsonl" == MERGED:
            raise ValueError(f"{process_name!r} does not name a journal: use a-z, 0-9 and -.")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / f"{process_name}.jsonl"
        self._fd = open_locked(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._end = _cut_torn_line(self._fd)
        sync_directory(directory)
        self._turn = threading.Condition()
        self._open_batch = _Batch()
        self._writing = False
        self._broken: str | None = None

    def write(self, commits: Sequence[Commit]) -> None:
        """Return once all stand on the disk, next to each other. Threads that wait together
        share one fsync.

        Raises Unavailable when they may not stand there.
        """
        with self._turn:
            batch = self._open_batch
            batch.lines += [encode(c) for c in commits]
            while self._writing and not batch.done:
                self._turn.wait()
            if not batch.done:
                # The first to wake writes for everyone who joined meanwhile.
                self._writing, self._open_batch = True, _Batch()
        if not batch.done:
            self._write_for_all(batch)
        if batch.error:
            raise batch.error

    def _write_for_all(self, batch: _Batch) -> None:
        try:
            self._write(b"".join(batch.lines))
        except OSError as error:
            batch.error = self._give_up(error)
        except BaseException:
            batch.error = Unavailable(
                f"Writing {self.path} was interrupted; send the same command again."
            )
            self._roll_back()
            raise
        finally:
            with self._turn:
                batch.done, self._writing = True, False
                self._turn.notify_all()

    def _write(self, data: bytes) -> None:
        if self._broken:
            raise OSError(errno.EIO, self._broken)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        os.fsync(self._fd)
        self._end += len(data)

    def _roll_back(self) -> None:
        """Take back what was half written, so that no torn line ends up amid the file."""
        try:
            os.ftruncate(self._fd, self._end)
        except OSError as worse:
            self._broken = str(worse)

    def _give_up(self, error: OSError) -> Unavailable:
        self._roll_back()
        if error.errno in _NO_ROOM:
            return StorageFull(
                f"No room left on the disk of {self.path}: the commit was not acknowledged. "
                "Free some space and send the same command again."
            )
        # After any other failure the kernel may have dropped what it could not write.
        self._broken = self._broken or str(error)
        return Unavailable(
            f"Cannot write {self.path} ({error}). Check the disk and restart the process."
        )

    def close(self) -> None:
        """Give the file back; another process may then take the name."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Batch:
    """Lines that share an fsync, and how that went."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.done = False
        self.error: Unavailable | None = None


class JournaledStore(CommitStore):
    """A commit store whose appends are acknowledged only once they are journaled."""

    def __init__(
        self, store: CommitStore, journal: Journal, clock: Clock, known: int = _KNOWN
    ) -> None:
        super().__init__(clock)
        self._store = store
        self._journal = journal
        self._known = _Recent(known)

    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        """See CommitStore. Raises Unavailable also when only the journal failed: the commit
        then stands unacknowledged, and whoever loads it next journals it.
        """
        past = {GENESIS, *(c.hash for c in commits)}
        for commit in commits:
            if commit.prev not in past and commit.prev not in self._known:
                self._secure_upto(commit.stream, commit.first - 1)
        standing = self._store.put(commits)
        self._journal_all(standing)
        return standing

    def newest_first(
        self, stream: str, upto: int | None = None, page: int = SNAPSHOT_COMMITS
    ) -> Iterator[Commit]:
        """See CommitStore. Journals the first: a load's answer without events relies on it too."""
        commits = self._store.newest_first(stream, upto, page)
        newest = next(commits, None)
        if newest is not None:
            self._secure(newest)
            yield newest
            yield from commits

    def read(self, stream: str, after: int = 0, page: int | None = None) -> Iterator[Commit]:
        """See CommitStore. Journals the last, or the one at ``after`` when nothing follows it.

        A query is answered from it, and a power cut must not take back what a user was shown.
        Any other commit was journaled before the next one was built on it; so each is held
        back until the next one comes.
        """
        held: Commit | None = None
        for commit in self._store.read(stream, after, page):
            if held is not None:
                yield held
            held = commit
        if held is not None:
            self._secure(held)
            yield held
        elif after > 0:
            self._secure_upto(stream, after)

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        """See CommitStore. Journals nothing: a write and an fsync for every stream would make
        it as slow as writing everything anew, and who scans wants the streams' names (a sweep,
        which then reads each stream) or a copy (an export); no query is answered from it.
        """
        return self._store.scan(segment, segments)

    def estimate(self) -> int:
        """See CommitStore."""
        return self._store.estimate()

    def _secure_upto(self, stream: str, version: int) -> None:
        newest = next(self._store.newest_first(stream, version, page=1), None)
        if newest is not None:
            self._secure(newest)

    def _secure(self, commit: Commit) -> None:
        """Journal a commit that another process may have died with, and its peers."""
        if commit.hash in self._known:
            return
        peers = [self._at(p.stream, p.first) for p in commit.peers]
        self._journal_all([commit, *(p for p in peers if p is not None)])

    def _at(self, stream: str, first: int) -> Commit | None:
        found = next(self._store.newest_first(stream, first, page=1), None)
        # An imported half may stand without its other half.
        return found if found and found.first == first else None

    def _journal_all(self, commits: Sequence[Commit]) -> None:
        self._journal.write(commits)
        for commit in commits:
            self._known.add(commit.hash)


class _Recent:
    """A bounded set of hashes, the least recently used of which are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._hashes: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, value: bytes) -> bool:
        with self._lock:
            if value not in self._hashes:
                return False
            self._hashes.move_to_end(value)
            return True

    def add(self, value: bytes) -> None:
        with self._lock:
            self._hashes[value] = None
            self._hashes.move_to_end(value)
            if len(self._hashes) > self._most:
                self._hashes.popitem(last=False)


def open_locked(path: Path, flags: int) -> int:
    """The file, opened and held by this process alone. Raises JournalInUse."""
    while True:
        fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Merging may have removed the file between our opening and our locking it.
            if os.fstat(fd).st_ino == path.stat().st_ino:
                return fd
        except BlockingIOError:
            os.close(fd)
            raise JournalInUse(
                f"{path} is being written by a running process; stop that one first."
            ) from None
        except FileNotFoundError:
            pass
        os.close(fd)


def sync_directory(directory: Path) -> None:
    """Make a created, renamed or removed name survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _cut_torn_line(fd: int) -> int:
    """Cut off what follows the last newline; the file's length after that."""
    end = os.fstat(fd).st_size
    start = end
    while start > 0:
        start = max(0, start - 65_536)
        newline = os.pread(fd, min(65_536, end - start), start).rfind(b"\n")
        if newline >= 0:
            start += newline + 1
            break
    if start != end:
        os.ftruncate(fd, start)
        os.fsync(fd)
    return start
