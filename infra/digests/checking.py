"""Check a digest: its signature, its heads file, and those before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from domain import merkle
from domain.errors import HistoryBroken
from infra.digests.bucket import Source
from infra.digests.document import FORMAT, Digest, Envelope, Head
from infra.digests.sealing import require_signed
from infra.digests.signers import ALGORITHM


def opened(name: str, envelope: bytes, trusted: Sequence[bytes]) -> Digest:
    """The digest in an envelope that one of the trusted keys (PEM) signed.

    Raises HistoryBroken where it was changed, or signed by another key.
    """
    try:
        sealed = msgspec.json.decode(envelope, type=Envelope)
        digest = msgspec.json.decode(sealed.digest, type=Digest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HistoryBroken(f"Digest {name} is damaged: {error}.") from error
    if digest.format != FORMAT or digest.key.algorithm != ALGORITHM:
        raise HistoryBroken(f"Digest {name} is of a kind that this version does not know.")
    require_signed(
        f"Digest {name}", sealed.digest, sealed.signature, digest.key.fingerprint, trusted
    )
    return digest


def heads_of(name: str, digest: Digest, lines: Iterable[bytes]) -> list[Head]:
    """The heads in a digest's heads file. Raises HistoryBroken where it is not the signed one."""
    whole, heads = hashlib.sha256(), []

    def leaves() -> Iterator[bytes]:
        before = ""
        for line in lines:
            whole.update(line)
            leaf = line.removesuffix(b"\n")
            head = msgspec.json.decode(leaf, type=Head)
            if before and head.stream <= before:
                raise HistoryBroken(f"The heads of digest {name} are out of order.")
            before = head.stream
            heads.append(head)
            yield leaf

    try:
        root = merkle.root(leaves()).hex()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HistoryBroken(f"The heads file of digest {name} is damaged: {error}.") from error
    if whole.hexdigest() != digest.heads.sha256:
        raise HistoryBroken(f"The heads file of digest {name} was changed after it was signed.")
    if root != digest.root or len(heads) != digest.streams:
        raise HistoryBroken(f"The heads of digest {name} do not give the root that it names.")
    return heads


def chain(
    name: str, envelope: bytes, source: Source, trusted: Sequence[bytes]
) -> Iterator[tuple[str, Digest]]:
    """That digest, the one before it, and so on to the first; each by its name.

    Raises HistoryBroken where one is not the one that its successor names, NotFound where one
    is gone.
    """
    while True:
        digest = opened(name, envelope, trusted)
        yield name, digest
        if digest.previous is None:
            return
        after, name = name, digest.previous.name
        envelope = source.envelope(name)
        if hashlib.sha256(envelope).hexdigest() != digest.previous.sha256:
            raise HistoryBroken(f"Digest {name} is not the one that {after} was built on.")
