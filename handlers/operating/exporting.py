"""A period's ledger as files: written in one pass with bounded memory, complete or not there."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct, field

from domain.commit import Commit
from domain.credits import CREDITS
from domain.errors import Invalid
from handlers.operating.drafting import drafted
from infra.clock import stamp
from infra.digests.sealing import signature
from infra.digests.signers import ALGORITHM, Signer, fingerprint
from projections.audit.ledger import Ledger
from projections.audit.rows import COLUMNS, LedgerRow, cells, row
from projections.audit.statement import Entry, walked
from projections.ports import History

FORMAT = "splitsound-ledger-1"
LINES, TABLE, MANIFEST = "ledger.jsonl", "ledger.csv", "manifest.json"
# A scan is eventually consistent; of a period that has just ended, accounts are read anew.
_SETTLED_MS = 60_000


class Sums(Struct):
    """Of one kind of event: how many, their credits, and what changed of those available."""

    events: int = 0
    amount: int = 0
    change: int = 0

    def add(self, told: LedgerRow) -> None:
        """One more."""
        self.events += 1
        self.amount += told.amount
        self.change += told.change


class FileMark(Struct, frozen=True):
    """A file of the export: SHA-256 in hex, and its bytes."""

    sha256: str
    bytes: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What an export holds. since, until: inclusive, RFC 3339; user: None for all accounts.

    wrong: events at which the law does not hold. key: fingerprint of what signed it.
    """

    format: str
    deployment: str
    made_at: str
    since: str
    until: str
    user: str | None
    events: int
    accounts: int
    sums: dict[str, Sums]
    wrong: int
    files: dict[str, FileMark]
    algorithm: str
    key: str


class Sealed(Struct, frozen=True):
    """manifest.json: the manifest's text, its signature (DER, base64), the key for information."""

    manifest: str
    signature: str
    public_key: str


class Period(Struct, frozen=True):
    """Epoch milliseconds, both inclusive; user: one account's, or None."""

    since: int
    until: int
    user: str | None = None


class Counted(Struct):
    """What passed by."""

    events: int = 0
    accounts: int = 0
    wrong: int = 0
    sums: dict[str, Sums] = field(default_factory=dict)

    def add(self, told: LedgerRow, wrong: bool) -> None:
        """One more row."""
        self.events += 1
        self.wrong += wrong
        self.sums.setdefault(told.kind, Sums()).add(told)


def export(
    history: History,
    period: Period,
    folder: Path,
    signer: Signer,
    deployment: str,
    now: int,
    heard: Callable[[int], object] = lambda _: None,
    *,
    replace: bool = False,
) -> Manifest:
    """Write the three files. now: epoch ms. heard: hears how many more commits were read.

    Raises HistoryBroken where a chain does not hold; then, and whenever it ends early, nothing
    is left of it. Raises Invalid, see ``drafted``.
    """
    with drafted(folder, (LINES, TABLE, MANIFEST), replace=replace) as drafts:
        with drafts[LINES].open("wb") as lines, drafts[TABLE].open("wb") as table:
            counted, marks = Counted(), (Marked(lines), Marked(table))
            _write(_rows(history, period, now, counted, heard), *marks)
            for file in (lines, table):
                file.flush()
                os.fsync(file.fileno())
        manifest = Manifest(
            format=FORMAT, deployment=deployment, made_at=stamp(now), since=stamp(period.since),
            until=stamp(period.until), user=period.user, events=counted.events,
            accounts=counted.accounts, sums=dict(sorted(counted.sums.items())),
            wrong=counted.wrong, files={LINES: marks[0].mark, TABLE: marks[1].mark},
            algorithm=ALGORITHM, key=fingerprint(signer.public_key),
        )  # fmt: skip
        drafts[MANIFEST].write_bytes(_sealed(manifest, signer))
    return manifest


def _sealed(manifest: Manifest, signer: Signer) -> bytes:
    text = msgspec.json.encode(manifest)
    sealed = Sealed(text.decode(), signature(text, signer), signer.public_key.decode())
    return msgspec.json.format(msgspec.json.encode(sealed), indent=2) + b"\n"


def _rows(
    history: History,
    period: Period,
    now: int,
    counted: Counted,
    heard: Callable[[int], object],
) -> Iterator[LedgerRow]:
    fresh = now - period.until < _SETTLED_MS
    for stream, scanned in _accounts(history, period, heard):
        own = history.read(stream) if fresh else scanned
        some = False
        for entry in _within(own, period):
            told = row(entry, stamp(entry.commit.t))
            counted.add(told, bool(entry.wrong))
            some = True
            yield told
        counted.accounts += some


def _accounts(
    history: History, period: Period, heard: Callable[[int], object]
) -> Iterator[tuple[str, Iterable[Commit]]]:
    if period.user:
        stream = CREDITS.stream(period.user)
        yield stream, history.read(stream)
        return
    prefix = CREDITS.category + "-"
    for stream, own in groupby(_heard(history.scan(), heard), key=lambda commit: commit.stream):
        if stream.startswith(prefix):
            yield stream, own


def _heard(commits: Iterable[Commit], heard: Callable[[int], object]) -> Iterator[Commit]:
    count = 0
    for commit in commits:
        yield commit
        count += 1
        if count % 500 == 0:
            heard(500)
    heard(count % 500)


def _within(commits: Iterable[Commit], period: Period) -> Iterator[Entry]:
    """The entries of the period; the account is followed from its beginning to its end."""
    for entry in walked(commits, Ledger()):
        if period.since <= entry.commit.t <= period.until:
            yield entry


def _write(rows: Iterable[LedgerRow], lines: Marked, table: Marked) -> None:
    encode = msgspec.json.Encoder().encode
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for told in rows:
        lines.write(encode(told) + b"\n")
        writer.writerow(cells(told))
        if text.tell() > 1 << 16:
            _flush(text, table)
    _flush(text, table)


def _flush(text: io.StringIO, table: Marked) -> None:
    table.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()


class Marked:
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._bytes = 0

    def write(self, data: bytes) -> None:
        """Write and count."""
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)

    @property
    def mark(self) -> FileMark:
        """What it was."""
        return FileMark(self._hash.hexdigest(), self._bytes)


def require_period(since: int, until: int, now: int) -> None:
    """Raises Invalid for a period that ends before it begins, or is not over."""
    if until < since:
        raise Invalid(f"The period ends ({stamp(until)}) before it begins ({stamp(since)}).")
    if until > now:
        raise Invalid(
            f"The period ends at {stamp(until)}, and that is not over yet; an export of it would "
            "not stay true. End it at `now` or before."
        )
