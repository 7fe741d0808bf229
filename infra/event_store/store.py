"""The commit store: one item per commit, appended at the tip that a load returned.

The rules live here, once; ``dynamodb.py`` and ``memory.py`` say only how commits are
fetched and put. A put is refused when the place (stream, first version) is taken, so of
two writers on the same tip one wins and the other learns who did.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from domain.aggregate import Aggregate, Event
from domain.commit import Append, Commit, Loaded, Meta, Tip
from domain.errors import CommitTooLarge, Conflict

if TYPE_CHECKING:
    from commands.ports import Clock

MAX_COMMIT_BYTES = 300 * 1024
SNAPSHOT_COMMITS = 16
SNAPSHOT_BYTES = 6 * 1024

State = TypeVar("State")


class StreamTaken(Conflict):
    """Another commit stands at that place."""


class CommitStore(ABC):
    """Load, append, read and scan; subclasses supply storage for whole commits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    # --- what storage supplies ----------------------------------------------------------

    @abstractmethod
    def newest_first(
        self, stream: str, upto: int | None = None, page: int = SNAPSHOT_COMMITS
    ) -> Iterator[Commit]:
        """Commits from the tip backwards, consistently read, fetched ``page`` at a time.

        upto: leave out commits that begin above that version.
        """

    @abstractmethod
    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        """Write all in one transaction, each only where its place is free.

        Returns the commits that now stand there: these, or, when each place already held the
        same command's (a retry), those of the first try, whose time and hash may differ.
        Raises StreamTaken when another command's stands there.
        """

    @abstractmethod
    def read(self, stream: str, after: int = 0, page: int | None = None) -> Iterator[Commit]:
        """Commits in order that begin above version ``after``, consistently read.

        page: fetch at most so many at a time; None leaves it to storage.
        """

    @abstractmethod
    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        """Every commit; streams in no order, each stream's commits together and in order."""

    @abstractmethod
    def estimate(self) -> int:
        """About how many commits there are."""

    # --- the rules ----------------------------------------------------------------------

    def load(self, aggregate: Aggregate[State], stream: str) -> Loaded[State]:
        """Fold from the newest usable snapshot on; reads back no further than that."""
        tail: list[Commit] = []
        state: State | None = None
        size = 0
        for commit in self.newest_first(stream, page=_snapshot_commits(aggregate)):
            state = aggregate.restore(commit.snapshot)
            if state is not None:
                if not tail:
                    tip = _tip(commit, 0, 0)
                    return Loaded(aggregate, state, tip)
                break
            tail.append(commit)
            size += _stored_size(commit)
        tail.reverse()
        folded = aggregate.fold(_events(aggregate, tail), state)
        tip = _tip(tail[-1], len(tail), size) if tail else Tip(stream)
        return Loaded(aggregate, folded, tip)

    def append(self, appends: Sequence[Append], meta: Meta) -> list[Commit]:
        """Commit all appends in one transaction, or none.

        Raises StreamTaken (a Conflict) when a stream moved on, CommitTooLarge above
        300 KB.
        """
        now = self._clock.now()
        commits = chained([_draft(a, meta, now) for a in appends])
        written = [_with_snapshot(c, a) for c, a in zip(commits, appends, strict=True)]
        return self.put(written)


def chained(drafts: Sequence[Commit]) -> list[Commit]:
    """Hash commits of one transaction; each carries the bodies of the others."""
    if len(drafts) == 1:
        return [drafts[0].sealed()]
    peers = [d.as_peer() for d in drafts]
    return [d.sealed(tuple(p for p in peers if p.stream != d.stream)) for d in drafts]


def same_command(winner: Commit, ours: Commit) -> bool:
    """Whether the commit that holds our place is our own earlier try."""
    return winner.cmd == ours.cmd and winner.events == ours.events


def check_size(stream: str, size: int) -> None:
    """Raises CommitTooLarge when ``size`` bytes of events are too many for one commit."""
    if size > MAX_COMMIT_BYTES:
        raise CommitTooLarge(
            f"{size} bytes of events in one commit to {stream}; the limit is "
            f"{MAX_COMMIT_BYTES}. Split the command."
        )


def byte_size(text: str | bytes | None) -> int:
    """Bytes as storage counts them: UTF-8, not characters."""
    if not text:
        return 0
    if isinstance(text, bytes) or text.isascii():
        return len(text)
    return len(text.encode())


def _draft(append: Append, meta: Meta, now: int) -> Commit:
    tip = append.onto.tip
    events = msgspec.json.encode(append.events)
    check_size(tip.stream, len(events))
    return Commit(
        stream=tip.stream,
        first=tip.version + 1,
        last=tip.version + len(append.events),
        types=tuple(sorted({e.event_name() for e in append.events})),
        events=events.decode(),
        cmd=meta.cmd,
        t=max(now, tip.t),
        actor=meta.actor,
        corr=meta.corr,
        cause=meta.cause,
        prev=tip.hash,
        trace=meta.trace,
    )


def _with_snapshot(commit: Commit, append: Append) -> Commit:
    """Every so many commits or SNAPSHOT_BYTES bytes the commit carries the state."""
    tip = append.onto.tip
    aggregate: Aggregate[Any] = append.onto.aggregate
    due = tip.commits + 1 >= _snapshot_commits(aggregate)
    if not due and tip.size + _stored_size(commit) <= SNAPSHOT_BYTES:
        return commit
    state = aggregate.fold(append.events, append.onto.state)
    return msgspec.structs.replace(commit, snapshot=aggregate.snapshot(state))


def _snapshot_commits(aggregate: Aggregate[Any]) -> int:
    return aggregate.snapshot_commits or SNAPSHOT_COMMITS


def _events(aggregate: Aggregate[Any], commits: Sequence[Commit]) -> Iterator[Event]:
    for commit in commits:
        assert isinstance(commit.events, str)
        yield from aggregate.decode(commit.events)


def _tip(commit: Commit, commits: int, size: int) -> Tip:
    return Tip(commit.stream, commit.last, commit.hash, commit.t, commits, size, commit)


def _stored_size(commit: Commit) -> int:
    # The attributes beside the events take about 300 bytes.
    return byte_size(commit.events) + 300
