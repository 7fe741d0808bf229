"""What a digest says, and its two files: the signed envelope and the heads, in JSON Lines.

The heads file has one line for each stream, ``[stream, version, hash in hex]``, sorted by stream.
A line without its end is a leaf of the Merkle tree whose root the digest names. What is signed is
the digest's text as it stands in the envelope, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec
from msgspec import Struct

from domain import merkle

FORMAT = "splitsound-digest-1"
FOLDER = "digests/"
SUFFIX = ".json"


class Head(Struct, frozen=True, array_like=True, gc=False):
    """Where a stream ends: version after its last commit, and that commit's hash in hex."""

    stream: str
    version: int
    hash: str

    def leaf(self) -> bytes:
        """Its line in the heads file, without the end."""
        return msgspec.json.encode(self)


class HeadsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The heads file that belongs to a digest: its SHA-256 in hex and its bytes."""

    sha256: str
    bytes: int


class Previous(Struct, frozen=True, forbid_unknown_fields=True):
    """The digest before: its name, and the SHA-256 in hex of its whole envelope file."""

    name: str
    sha256: str


class KeyName(Struct, frozen=True, forbid_unknown_fields=True):
    """What it was signed with; fingerprint: SHA-256 in hex of the public key (SPKI, DER)."""

    algorithm: str
    fingerprint: str


class Digest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The heads of all streams at one time.

    deployment: the events table. taken_at: when the reading began, so whatever was committed
    before is in it. events: of all streams together. root: of the Merkle tree, in hex.
    """

    format: str
    deployment: str
    day: str
    taken_at: str
    streams: int
    events: int
    root: str
    heads: HeadsFile
    previous: Previous | None
    key: KeyName


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """A digest's text and its signature (ECDSA over SHA-256, DER, in base64).

    public_key: in PEM, for information. Whoever checks the signature brings the key along.
    """

    digest: str
    signature: str
    public_key: str


def moment(time: int) -> datetime:
    """Epoch milliseconds as a UTC time."""
    return datetime.fromtimestamp(time / 1000, UTC)


def name_of(time: int, root: str) -> str:
    """``digests/2026/11/23T210512.123Z-<root8>.json``: names sort by time."""
    then = moment(time)
    clock = f"{then:%dT%H%M%S}.{then.microsecond // 1000:03d}Z"
    return f"{FOLDER}{then:%Y/%m}/{clock}-{root[:8]}{SUFFIX}"


def heads_name(name: str) -> str:
    """The heads file of the digest of that name."""
    return name.removesuffix(SUFFIX) + ".heads.jsonl"


def write_heads(heads: Iterable[Head], file: BinaryIO) -> tuple[HeadsFile, str]:
    """Write the sorted heads as a heads file; what it is, and the Merkle root in hex."""
    digest, size = hashlib.sha256(), 0

    def written() -> Iterator[bytes]:
        nonlocal size
        for head in heads:
            leaf = head.leaf()
            line = leaf + b"\n"
            file.write(line)
            digest.update(line)
            size += len(line)
            yield leaf

    root = merkle.root(written()).hex()
    return HeadsFile(digest.hexdigest(), size), root
