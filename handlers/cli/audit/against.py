"""Compare histories with a signed digest, as a part of `audit verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from domain.commit import Commit
from domain.errors import HistoryBroken, Invalid, NotFound
from handlers.cli.audit.known import Opened, keys, open_digest, take_one
from handlers.cli.words import counted
from infra.digests.scanning import CUT, GONE, REWRITTEN
from projections.audit.walking import DIGEST, Finding
from projections.ports import History

if TYPE_CHECKING:
    from infra.bootstrap import Application


class Covered(Struct, frozen=True):
    """What a digest said of the streams: its name, when it was taken, and the rest in words.

    name: None where there was none to compare with; streams: how many of them it names.
    """

    name: str | None
    taken_at: str | None
    streams: int
    note: str


class _Some:
    """Some streams of a store, as if it had no others."""

    def __init__(self, history: History, streams: Sequence[str]) -> None:
        self._history, self._streams = history, streams

    def read(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """See History."""
        return self._history.read(stream, after)

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        """See History."""
        for stream in self._streams[segment::segments]:
            yield from self._history.read(stream)

    def estimate(self) -> int:
        """See History."""
        return len(self._streams)


def against_digest(
    parts: Application,
    history: History,
    name: str | None,
    trusted: Sequence[Path],
    streams: Sequence[str],
    data: Path,
    heard: Callable[[int], object],
) -> tuple[Covered, list[Finding]]:
    """Compare with the digest of that name or file, else the newest; ``none`` compares nothing.

    streams: only these; all of them where there are none. Raises NotFound for a digest that is
    named and is not there.
    """
    from infra.digests import scan_heads

    if name == "none":
        return Covered(None, None, 0, "not compared, as asked (--digest none)"), []
    try:
        opened = open_digest(parts, name, keys(parts, trusted), data)
    except (NotFound, Invalid) as error:
        if name is not None:
            raise
        return Covered(None, None, 0, _without(str(error), data)), []
    except HistoryBroken as error:
        broken = Finding(name or "digests", 0, DIGEST, str(error))
        return Covered(name or "the newest digest", None, 0, "it cannot be trusted"), [broken]
    lost: list[Finding] = []
    earlier = 0
    if name is None and not streams:
        earlier, lost = _before(parts, opened, keys(parts, trusted))
    expected = {head.stream: head for head in opened.heads}
    if streams:
        expected = {each: expected[each] for each in streams if each in expected}
        history = _Some(history, streams)
    scanned = scan_heads(history, expected, progress=heard)
    lost += [
        Finding(each.stream, each.version, DIGEST, _LOST[each.what])
        for each in scanned.findings
        if each.what in _LOST  # what breaks a chain is told already
    ]
    covered = f"all that it says of {counted(len(expected), 'stream')} still stands"
    if earlier:
        covered += f"; {counted(earlier, 'digest')} before it, each the one that the next names"
    newer = len({head.stream for head in scanned.heads} - expected.keys())
    if newer:
        covered += f"; not compared, being newer: {counted(newer, 'stream')}"
    return Covered(opened.name, opened.digest.taken_at, len(expected), covered), lost


def _before(
    parts: Application, opened: Opened, trusted: Sequence[bytes]
) -> tuple[int, list[Finding]]:
    """How many digests lead up to that one, and what is wrong with them."""
    from infra.digests import chain

    count = -1  # the first is this one itself
    try:
        for _ in chain(opened.name, opened.envelope, parts.digests, trusted):
            count += 1
    except (NotFound, HistoryBroken) as error:
        return count, [Finding("digests", 0, DIGEST, str(error))]
    return count, []


_LOST = {
    CUT: "from here on, commits that the digest knows are gone",
    GONE: "the digest knows this stream, and it is gone",
    REWRITTEN: "the digest knows another commit at this version: this was written anew",
}


def _without(reason: str, data: Path) -> str:
    return (
        f"not compared, so a tail cut off or a stream written anew would not show. {reason}"
        if take_one(data) in reason
        else f"not compared: {reason}"
    )
