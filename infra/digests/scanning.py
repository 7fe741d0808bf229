"""The heads of all streams by one scan, which checks every chain as it flows by.

A scan may be a little late, and a digest from before names where streams stood. So a stream that
does not look right is read again, consistently, before anything is said about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

from msgspec import Struct

from domain.commit import Chain, Commit
from domain.errors import AccessDenied, HistoryBroken
from infra.digests.document import Head
from projections.crew import Crew
from projections.ports import History
from projections.sweeping import Counter

SEGMENTS = 32
WORKERS = 4
# Progress is told after so many commits or more.
_STEP = 500

CUT, GONE, REWRITTEN = "tail cut off", "stream is gone", "rewritten"


class Finding(Struct, frozen=True, order=True):
    """A stream that does not say any more what it said. version: the first place that shows it.

    what: CUT, GONE, REWRITTEN, or how the chain breaks there. Under CUT, versions from that one on
    are missing, up to that of the digest; under REWRITTEN, it is the digest's version.
    """

    stream: str
    version: int
    what: str

    def __str__(self) -> str:
        return f"{self.stream} version {self.version}: {self.what}"


class Scanned(Struct):
    """What a scan found; heads sorted by stream once all of it is there."""

    heads: list[Head] = []
    commits: int = 0
    events: int = 0
    findings: list[Finding] = []

    def add(self, other: Scanned) -> None:
        """Sum up."""
        self.heads += other.heads
        self.commits += other.commits
        self.events += other.events
        self.findings += other.findings


class _Walked(Struct):
    """A stream from its beginning to where it ends or breaks. events: how many."""

    head: Head | None = None
    events: int = 0
    finding: Finding | None = None


def scan_heads(
    history: History,
    expected: Mapping[str, Head],
    *,
    segments: int = SEGMENTS,
    workers: int = WORKERS,
    progress: Callable[[int], object] = lambda _: None,
    stopped: Callable[[], object] = lambda: None,
) -> Scanned:
    """Every stream's head; findings where a chain breaks or an expected head stands no more.

    progress: hears how many more commits were read, from several threads. stopped: ends other
    waits of the work when it ends early. Raises Unavailable.
    """
    crew, total = Crew(workers, stopped=stopped), Scanned()

    def heard(commits: int) -> None:
        crew.go_on()
        progress(commits)

    def segment(number: int) -> Scanned | AccessDenied:
        try:
            return _segment(history, expected, number, segments, heard)
        except AccessDenied as error:
            return error  # the crew would try again and again, and only an operator can help

    for part in crew.run(segment, range(segments)):
        if isinstance(part, AccessDenied):
            raise part
        total.add(part)
    seen = {head.stream for head in total.heads} | {each.stream for each in total.findings}
    for stream in expected.keys() - seen:
        _note(total, _again(history, stream, expected[stream]))
    total.heads.sort(key=lambda head: head.stream)
    total.findings.sort()
    return total


def _segment(
    history: History,
    expected: Mapping[str, Head],
    segment: int,
    segments: int,
    progress: Callable[[int], object],
) -> Scanned:
    done, counter, pending = Scanned(), Counter(), 0
    commits = counter.counted(history.scan(segment, segments))
    for stream, own in groupby(commits, key=lambda commit: commit.stream):
        walked = _walk(stream, own, expected.get(stream))
        if walked.finding:
            walked = _again(history, stream, expected.get(stream))
        _note(done, walked)
        taken = counter.taken()
        done.commits += taken
        pending += taken
        if pending >= _STEP:
            progress(pending)
            pending = 0
    rest = counter.taken()
    done.commits += rest
    progress(pending + rest)
    return done


def _note(total: Scanned, walked: _Walked) -> None:
    total.events += walked.events
    if walked.finding:
        total.findings.append(walked.finding)
    if walked.head:
        total.heads.append(walked.head)


def _again(history: History, stream: str, expected: Head | None) -> _Walked:
    return _walk(stream, history.read(stream), expected)


def _walk(stream: str, commits: Iterable[Commit], expected: Head | None) -> _Walked:
    """Check the chain, and that the expected head stands in it."""
    chain = Chain()
    there: bytes | None = None
    version = expected.version if expected else None
    events = 0
    for commit in commits:
        try:
            chain.follow(commit)
        except HistoryBroken as error:
            what = str(error).removeprefix(f"{stream} version {commit.first}: ").rstrip(".")
            return _Walked(None, events, Finding(stream, commit.first, what))
        events += commit.last - commit.first + 1
        if commit.last == version:
            there = commit.hash
    head = Head(stream, chain.version, chain.hash.hex()) if events else None
    return _Walked(head, events, _moved(stream, head, expected, there))


def _moved(
    stream: str, head: Head | None, expected: Head | None, there: bytes | None
) -> Finding | None:
    if expected is None or (there is not None and there.hex() == expected.hash):
        return None
    if head is None:
        return Finding(stream, expected.version, GONE)
    if head.version < expected.version:
        return Finding(stream, head.version + 1, CUT)
    return Finding(stream, expected.version, REWRITTEN)


def told(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings for people, a sentence each."""
    for each in findings:
        if each.what == CUT:
            yield f"{each.stream}: its tail was cut off, from version {each.version} on"
        elif each.what == GONE:
            yield f"{each.stream}: the stream is gone; it had version {each.version}"
        elif each.what == REWRITTEN:
            yield f"{each.stream}: what it says up to version {each.version} was written anew"
        else:
            yield str(each)
