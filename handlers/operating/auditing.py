"""Audit a live store: every stream by one parallel scan, whole transactions, one report.

Commands may run meanwhile. The scan meets one stream before and another one after a transaction
of both, so what it missed is read afterwards (see ``domain.closing``), and only then do sums over
streams mean anything. What looks wrong in an eventually consistent scan is read again,
consistently, before it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

from domain.closing import Halves
from domain.commit import Commit
from domain.credits import CREDITS, CreditsGranted, CreditsRevoked
from domain.purchase import PURCHASE
from projections.audit.walking import CHAIN, PEER, PURCHASE_DIFFERS, Finding, Walk, Walked
from projections.crew import Crew
from projections.ports import History
from projections.sweeping import Counter

SEGMENTS, WORKERS = 32, 4
_STEP = 500
_MONEY = (CREDITS.category + "-", PURCHASE.category + "-")

Heard = Callable[[int], object]
"""Hears how many more commits were read, from several threads."""


class Readable(History, Protocol):
    """The event store, as far as an audit reads it."""

    def newest_first(
        self, stream: str, upto: int | None = None, page: int = 16
    ) -> Iterator[Commit]:
        """Commits from the tip, or from the one that has version ``upto``, backwards."""


class Audit:
    """One pass over a store. thorough: see ``Walk``; else only accounts and purchases are read.

    stopped: ends other waits of the work when it ends early.
    """

    def __init__(
        self,
        history: Readable,
        *,
        thorough: bool,
        segments: int = SEGMENTS,
        workers: int = WORKERS,
        heard: Heard = lambda _: None,
        stopped: Callable[[], object] = lambda: None,
    ) -> None:
        self._history = history
        self._thorough = thorough
        self._segments = segments
        self._crew = Crew(workers, stopped=stopped)
        self._heard = heard
        self._halves = Halves()
        self._found = Walked()

    def everything(self) -> Walked:
        """All streams of the store. Raises Unavailable."""
        numbers = range(self._segments)
        for found, halves in self._crew.run(self._segment, numbers):
            self._found.add(found)
            self._halves.add(halves)
        self._close()
        return self._told()

    def these(self, streams: Iterable[str]) -> Walked:
        """These streams, each read consistently; of the halves beside them only the bodies."""
        wanted = sorted(set(streams))
        for found, halves in self._crew.run(lambda n: self._one(wanted[n]), range(len(wanted))):
            self._found.add(found)
            self._halves.add(halves)
        self._close(frozenset(wanted))
        for stream, version, other, place in self._found.pairs.unanswered:
            half = None if other in wanted else self._half(other, place)
            if half:
                self._found.pairs.say(half, half.body(), (stream, version))
        return self._told(frozenset(wanted))

    def _segment(self, number: int) -> tuple[Walked, Halves]:
        found, halves, counter, told = Walked(), Halves(), Counter(), 0
        commits = counter.counted(self._history.scan(number, self._segments))
        for stream, own in groupby(commits, key=lambda commit: commit.stream):
            if self._thorough or stream.startswith(_MONEY):
                walked = self._walk(stream, own, halves)
                if walked.findings:
                    walked = self._walk(stream, self._history.read(stream), halves)
                found.add(walked)
            else:
                for _ in own:
                    pass
            told += counter.taken()
            if told >= _STEP:
                self._hear(told)
                told = 0
        self._hear(told + counter.taken())
        return found, halves

    def _one(self, stream: str) -> tuple[Walked, Halves]:
        halves, counter = Halves(), Counter()
        commits = counter.counted(self._history.read(stream))
        found = self._walk(stream, commits, halves)
        self._hear(counter.taken())
        return found, halves

    def _walk(
        self, stream: str, commits: Iterable[Commit], halves: Halves, since: int = 0
    ) -> Walked:
        walk = Walk(stream, thorough=self._thorough, since=since)
        found = walk.run(commits)
        halves.passed(stream, walk.last)
        halves.name(p for p in walk.peers if self._thorough or p.stream.startswith(_MONEY))
        return found

    def _hear(self, commits: int) -> None:
        self._crew.go_on()
        self._heard(commits)

    def _close(self, only: frozenset[str] | None = None) -> None:
        """Go on with streams that were passed before a transaction wrote to them."""
        while peer := self._halves.take():
            if only is None or peer.stream in only:
                since = max(0, self._halves.end(peer.stream))
                upto = self._upto(peer.stream, peer.first)
                self._found.add(self._walk(peer.stream, upto, self._halves, since))

    def _upto(self, stream: str, first: int) -> Iterator[Commit]:
        for commit in self._history.read(stream):
            if commit.first > first:
                return
            yield commit

    def _half(self, stream: str, first: int) -> Commit | None:
        found = next(self._history.newest_first(stream, first, page=1), None)
        return found if found and found.first == first else None

    def _told(self, wanted: frozenset[str] = frozenset()) -> Walked:
        found = self._found
        # Where a chain breaks, that says it already.
        told = {(each.stream, each.version) for each in found.findings if each.kind == CHAIN}
        # Each pair is there both ways; it is told from the side that was asked for.
        pairs = sorted(found.pairs.unanswered, key=lambda pair: pair[0] not in wanted)
        for stream, version, other, place in pairs:
            one, two = (stream, version), (other, place)
            if one not in told and two not in told:
                told |= {one, two}
                what = f"the other half of its transaction, {other} version {place}, "
                what += "is missing, or says something else"
                found.findings.append(Finding(stream, version, PEER, what))
        found.findings.sort()
        return found


def disagreeing(found: Walked) -> list[Finding]:
    """Purchases whose own events and whose account's events differ."""
    told = []
    for (purchase, user), sold in sorted(found.totals.open.items()):
        what = (
            f"it sold {sold.sold} credits and {CREDITS.stream(user)} was granted {sold.granted}; "
            f"{sold.due} should have been revoked by now and {sold.revoked} were"
        )
        told.append(Finding(PURCHASE.stream(purchase), sold.version, PURCHASE_DIFFERS, what))
    return told


def purchases_of(history: History, accounts: Sequence[str]) -> list[str]:
    """The purchases' streams that these accounts' streams name."""
    named = set()
    for stream in accounts:
        for commit in history.read(stream):
            for event in CREDITS.decode(str(commit.events)):
                if isinstance(event, CreditsGranted | CreditsRevoked) and event.purchase_id:
                    named.add(PURCHASE.stream(event.purchase_id))
    return sorted(named)
