"""Commits as JSON Lines: the format of exports, backups and the local journal.

One line per commit; bytes as hex; events as the very text that the hash covers. Left out are
snapshots, being derived, and traces, which tell of processes long gone. An export ends with a line
that counts and hashes all before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from msgspec import Struct

from domain.commit import Commit, Peer
from domain.errors import Invalid

FORMAT = 1
# A commit has at most 300 KB of events; JSON in JSON escapes some, hex doubles bytes.
_MAX_LINE = 4 * 1024 * 1024


class End(Struct, frozen=True, tag_field="kind", tag="end"):
    """The last line of an export. sha256: over all lines before it, with their newlines."""

    v: int
    commits: int
    streams: int
    sha256: str


class _Line(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True,
    tag_field="kind", tag="commit",
):  # fmt: skip
    v: int
    stream: str
    first: int
    last: int
    types: tuple[str, ...]
    events: str | None = None
    binary: str | None = None
    cmd: str
    t: int
    actor: str = ""
    corr: str = ""
    cause: str = ""
    prev: str
    peers: tuple[Peer, ...] = ()
    hash: str
    origin: str | None = None


_decoder = msgspec.json.Decoder(_Line | End)


def encode(commit: Commit) -> bytes:
    """The commit's line, newline included."""
    events = commit.events
    line = _Line(
        v=FORMAT,
        stream=commit.stream,
        first=commit.first,
        last=commit.last,
        types=commit.types,
        events=events if isinstance(events, str) else None,
        binary=None if isinstance(events, str) else events.hex(),
        cmd=commit.cmd,
        t=commit.t,
        actor=commit.actor,
        corr=commit.corr,
        cause=commit.cause,
        prev=commit.prev.hex(),
        peers=commit.peers,
        hash=commit.hash.hex(),
        origin=commit.origin,
    )
    return msgspec.json.encode(line) + b"\n"


def encode_end(end: End) -> bytes:
    """The last line, newline included."""
    return msgspec.json.encode(end) + b"\n"


def decode(line: bytes, where: str) -> Commit | End:
    """What a line says. where: how an error names the line. Raises Invalid."""
    try:
        said = _decoder.decode(line)
        if said.v == FORMAT:
            return said if isinstance(said, End) else _commit(said)
    except (msgspec.DecodeError, ValueError) as error:
        _refuse_other_format(line, where)
        cut = "" if line.endswith(b"\n") else " and ends in its middle: the file is cut"
        raise Invalid(
            f"{where} is no commit of an export ({error}){cut}. Take the whole, unedited file "
            "and start again; what was already imported is recognised and skipped."
        ) from error
    raise _other_format(where, said.v)


def read_lines(source: BinaryIO, name: str = "Line") -> Iterator[tuple[str, bytes]]:
    """Each line with the words that name it in an error. Raises Invalid for an endless line."""
    number = 0
    while line := source.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise Invalid(f"{name} {number} is longer than any commit; this is no export.")
        yield f"{name} {number}", line


def _commit(line: _Line) -> Commit:
    if (line.events is None) == (line.binary is None):
        raise ValueError("it needs either events or binary")
    return Commit(
        stream=line.stream,
        first=line.first,
        last=line.last,
        types=line.types,
        events=line.events if line.events is not None else bytes.fromhex(line.binary or ""),
        cmd=line.cmd,
        t=line.t,
        actor=line.actor,
        corr=line.corr,
        cause=line.cause,
        prev=bytes.fromhex(line.prev),
        peers=line.peers,
        hash=bytes.fromhex(line.hash),
        origin=line.origin,
    )


class _AnyVersion(Struct):
    v: int


def _refuse_other_format(line: bytes, where: str) -> None:
    try:
        said = msgspec.json.decode(line, type=_AnyVersion)
    except msgspec.DecodeError:
        return
    if said.v != FORMAT:
        raise _other_format(where, said.v)


def _other_format(where: str, version: int) -> Invalid:
    return Invalid(
        f"{where} has format version {version} and this program reads version {FORMAT}; "
        "use the release of splitsound that wrote the file, or a newer one."
    )
