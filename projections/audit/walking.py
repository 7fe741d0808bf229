"""Walk one stream from its first commit and say everything that is wrong with it.

A break in the chain does not end the walk: what stands behind it is looked at too. An event
that cannot be read or folded ends the folding of its stream, not the checking of its chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from domain import aggregates
from domain.aggregate import Aggregate, Event
from domain.commit import Chain, Commit, Peer
from domain.credits import CREDITS
from domain.errors import HistoryBroken, NotFound
from domain.purchase import PURCHASE
from projections.audit.pairs import Pairs
from projections.audit.totals import AccountTally, Totals, purchase_totals

CHAIN, UNREADABLE, FOLD, LAW = "chain", "unreadable", "fold", "law"
SNAPSHOT, PEER, PURCHASE_DIFFERS, DIGEST = "snapshot", "peer", "purchase", "digest"
# Of one stream; one broken event may make all that follow wrong.
MOST_FINDINGS = 100
_UNFOLDABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Finding(Struct, frozen=True, order=True):
    """What is wrong, and where. kind: CHAIN, LAW, ... ; version: 0 where none is to blame."""

    stream: str
    version: int
    kind: str
    what: str


class Walked(Struct):
    """What walks found, summed up. unknown: streams that no aggregate of ours has, by category.

    snapshots: those of today's shape, which were compared.
    """

    streams: int = 0
    commits: int = 0
    events: int = 0
    snapshots: int = 0
    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    pairs: Pairs = field(default_factory=Pairs)

    def add(self, other: Walked) -> None:
        """Sum up."""
        self.streams += other.streams
        self.commits += other.commits
        self.events += other.events
        self.snapshots += other.snapshots
        self.findings += other.findings
        for category, count in other.unknown.items():
            self.unknown[category] = self.unknown.get(category, 0) + count
        self.totals.add(other.totals)
        self.pairs.add(other.pairs)


class Walk:
    """One stream. thorough: also its peers and its snapshots, beside its chain and the sums.

    since: what stands up to this version was reported before; the sums are of what came after.
    last: the version that the walk came to; peers: what its commits name.
    """

    def __init__(self, stream: str, *, thorough: bool = True, since: int = 0) -> None:
        self._stream = stream
        self._since = since
        self._chain = Chain()
        self._thorough = thorough
        self._found = Walked()
        self._aggregate: Aggregate[Any] | None = None
        self._state: Any = None
        self._tally: AccountTally | None = None
        self._off = 0
        self._before: Totals | None = None
        self.last = 0
        self.peers: list[Peer] = []
        try:
            self._aggregate = aggregates.of_stream(stream)
        except NotFound:
            return
        self._state = self._aggregate.state()
        if self._aggregate is CREDITS:
            self._tally = AccountTally()
            self._state = self._tally.ledger.state

    def run(self, commits: Iterable[Commit]) -> Walked:
        """Take all of these, the stream's first ones first; what was found."""
        found, chain, since = self._found, self._chain, self._since
        body = b""
        for commit in commits:
            if since and self._before is None and commit.first > since:
                self._before = self._totals()
            try:
                body = chain.follow(commit)
            except HistoryBroken as error:
                body = commit.body()
                self._tell(commit.first, CHAIN, _reason(error))
            if self._aggregate:
                self._fold(self._aggregate, commit)
            if commit.first > since:
                found.commits += 1
                found.events += commit.last - commit.first + 1
                if commit.peers:
                    self.peers += commit.peers
                    if self._thorough:
                        found.pairs.say(commit, body)
            self.last = commit.last
        self._end()
        return found

    def _fold(self, aggregate: Aggregate[Any], commit: Commit) -> None:
        version = commit.first
        if version < 1:
            # The library's streams may begin at 0, ours never do.
            self._tell(version, CHAIN, "a stream of ours begins at version 1")
        try:
            events = aggregate.decode(commit.events)  # type: ignore[arg-type]  # ours are JSON
            if self._tally:
                for event in events:
                    self._book(self._tally, event, version, commit)
                    version += 1
            else:
                evolve, state = aggregate.evolve, self._state
                for event in events:
                    state = evolve(state, event)
                    version += 1
                self._state = state
        except msgspec.DecodeError as error:
            self._tell(version, UNREADABLE, f"this version of us cannot read it: {error}")
            self._aggregate = None
            return
        except _UNFOLDABLE as error:
            kind = LAW if self._tally else FOLD
            what = f"{type(events[version - commit.first]).__name__} does not fit what stands"
            self._tell(version, kind, f"{what} before it ({type(error).__name__}: {error})")
            self._aggregate = None
            return
        if commit.snapshot is not None and self._thorough:
            self._compare(aggregate, commit, commit.snapshot)

    def _book(self, tally: AccountTally, event: Event, version: int, commit: Commit) -> None:
        ledger = tally.ledger
        wrong = tally.take(event)
        if not wrong and ledger.state.debt and version == commit.last:
            wrong = ledger.owes_and_has(commit.t)
        # What one event broke stays broken by as much; it is told once.
        if wrong and (ledger.off != self._off or not ledger.off):
            self._tell(version, LAW, wrong)
        self._off = ledger.off

    def _compare(self, aggregate: Aggregate[Any], commit: Commit, snapshot: str) -> None:
        if aggregate.snapshot(self._state) == snapshot:
            self._found.snapshots += 1
            return
        try:
            told = aggregate.restore(snapshot)
        except msgspec.DecodeError as error:
            self._tell(commit.last, SNAPSHOT, f"the snapshot cannot be read: {error}")
            return
        if told is None:
            return  # of another shape, so nobody loads from it
        self._found.snapshots += 1
        if told != self._state:
            self._tell(commit.last, SNAPSHOT, f"the snapshot lies: {_lies(told, self._state)}")

    def _totals(self) -> Totals:
        if self._tally:
            return self._tally.totals()
        if self._stream.startswith(PURCHASE.category + "-"):
            return purchase_totals(self._state, self.last)
        return Totals()

    def _end(self) -> None:
        if self.last and not self._since:
            self._found.streams = 1
            if self._state is None:
                self._found.unknown[self._stream.partition("-")[0]] = 1
        whole = self._aggregate and not self._found.findings
        if self._tally and whole and (wrong := self._tally.ledger.settled()):
            self._tell(self.last, LAW, wrong)
        if self._since and self._before is None:
            return  # nothing has come since
        self._found.totals.add(self._totals())
        if self._before:
            self._found.totals.add(self._before, -1)

    def _tell(self, version: int, kind: str, what: str) -> None:
        if (version > self._since or version < 1) and len(self._found.findings) < MOST_FINDINGS:
            self._found.findings.append(Finding(self._stream, version, kind, what))


def _reason(error: HistoryBroken) -> str:
    return str(error).partition(": ")[2].rstrip(".")


def _lies(told: Any, state: Any) -> str:
    """The fields in which a snapshot differs from the events."""
    names = state.__struct_fields__
    differ = [name for name in names if getattr(told, name) != getattr(state, name)]
    values = ((name, *_unlike(getattr(told, name), getattr(state, name))) for name in differ)
    said = ((name, _short(lie), _short(truth)) for name, lie, truth in values)
    return ", ".join(f"{name} is {lie} in it, {truth} by the events" for name, lie, truth in said)


def _unlike(told: Any, state: Any) -> tuple[Any, Any]:
    """Of two dictionaries only what is not alike."""
    if not isinstance(told, dict) or not isinstance(state, dict):
        return told, state
    names = [n for n in told.keys() | state.keys() if told.get(n) != state.get(n)]
    return {n: told.get(n) for n in names}, {n: state.get(n) for n in names}


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"
