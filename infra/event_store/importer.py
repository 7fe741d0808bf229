"""Writing commits that a store lacks: in order, by their hash chain, as often as one likes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from domain.commit import Commit, Tip, verify_chain
from domain.errors import HistoryBroken
from infra.event_store.store import CommitStore, byte_size

_BATCH_COMMITS = 500
_BATCH_BYTES = 8 * 1024 * 1024
# DynamoDB takes at most 100 items and 4 MB in a transaction.
_TRANSACTION_BYTES = 3 * 1024 * 1024


class Imported(Struct, frozen=True):
    """written: commits that the store lacked; skipped: those that it already had."""

    written: int
    skipped: int


class Importer:
    """Writes commits that a store lacks, stream by stream in order.

    origin: marks what is written; None keeps each commit's own mark. transaction: commits per
    put; more than one costs twice the write units and saves most of the round trips. tips:
    where streams end, for those who know them all; else they are read.
    """

    def __init__(
        self,
        store: CommitStore,
        origin: str | None,
        transaction: int = 1,
        tips: dict[str, Tip] | None = None,
    ) -> None:
        self._store = store
        self._origin = origin
        self._transaction = transaction
        self._tips = tips
        self._waiting: dict[str, list[tuple[str, Commit]]] = defaultdict(list)
        self._commits = self._bytes = 0
        self._written = self._skipped = 0

    @property
    def imported(self) -> Imported:
        """What was done so far."""
        return Imported(self._written, self._skipped)

    def add(self, commit: Commit, where: str) -> None:
        """Take the next commit. where: how an error names it."""
        self._waiting[commit.stream].append((where, commit))
        self._commits += 1
        self._bytes += byte_size(commit.events)
        if self._commits >= _BATCH_COMMITS or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Check and write what waits. Streams before a broken one are written."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        self._commits = self._bytes = 0
        fresh: list[Commit] = []
        for stream, placed in waiting.items():
            try:
                fresh += self._missing(stream, placed)
            except HistoryBroken:
                self._put(fresh)
                raise
        self._put(fresh)

    def _missing(self, stream: str, placed: Sequence[tuple[str, Commit]]) -> list[Commit]:
        """Those of a stream's commits that follow its tip. Raises HistoryBroken."""
        _, first = placed[0]
        chain = Tip(stream, first.first - 1, first.prev)
        for where, commit in placed:
            try:
                chain = verify_chain((commit,), chain)
            except HistoryBroken as error:
                raise HistoryBroken(f"{where}: {error}") from error
        tip = self._tip(stream)
        if tip is None:
            tip = Tip(stream, min(first.first, 1) - 1)
        known = [commit for _, commit in placed if commit.last <= tip.version]
        if known:
            self._require_same(known[-1], tip)
        fresh = [commit for _, commit in placed[len(known) :]]
        if fresh:
            where = placed[len(known)][0]
            _require_follows(where, tip, fresh[0])
            if self._tips is not None:
                last = fresh[-1]
                self._tips[stream] = Tip(stream, last.last, last.hash, last.t)
        self._skipped += len(known)
        return fresh

    def _tip(self, stream: str) -> Tip | None:
        if self._tips is not None:
            return self._tips.get(stream)
        last = next(self._store.newest_first(stream, page=1), None)
        return None if last is None else Tip(stream, last.last, last.hash, last.t)

    def _require_same(self, known: Commit, tip: Tip) -> None:
        # One equal hash is enough: the chain below it is then equal too.
        stands = tip.hash
        if known.last != tip.version:
            found = next(self._store.newest_first(known.stream, upto=known.first, page=1), None)
            stands = found.hash if found and found.first == known.first else b""
        if stands != known.hash:
            raise HistoryBroken(
                f"{known.stream}: the store has another history up to version {known.last} than "
                "the file. Nothing of this stream was imported; decide which one counts."
            )

    def _put(self, commits: Sequence[Commit]) -> None:
        for group in _transactions(commits, self._transaction):
            self._store.put([self._marked(c) for c in group])
            self._written += len(group)

    def _marked(self, commit: Commit) -> Commit:
        if self._origin is None:
            return commit
        return msgspec.structs.replace(commit, origin=self._origin)


def _require_follows(where: str, tip: Tip, commit: Commit) -> None:
    if commit.first <= tip.version:
        raise HistoryBroken(
            f"{commit.stream}: the store has another history at version {commit.first} than the "
            "file. Nothing of this stream was imported; decide which one counts."
        )
    try:
        verify_chain((commit,), tip)
    except HistoryBroken as error:
        raise HistoryBroken(f"{where}: {error} The store ends at version {tip.version}.") from error


def _transactions(commits: Sequence[Commit], most: int) -> Iterable[list[Commit]]:
    group: list[Commit] = []
    size = 0
    for commit in commits:
        size += byte_size(commit.events)
        if group and (len(group) == most or size > _TRANSACTION_BYTES):
            yield group
            group, size = [], byte_size(commit.events)
        group.append(commit)
    if group:
        yield group
