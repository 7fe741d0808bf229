"""Check a digest: its signature, its heads file, and those before it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from domain import merkle
from domain.errors import HistoryBroken
from infra.digests.bucket import Source
from infra.digests.document import FORMAT, Digest, Envelope, Head
from infra.digests.signers import ALGORITHM, fingerprint, holds


def opened(name: str, envelope: bytes, trusted: Sequence[bytes]) -> Digest:
    """The digest in an envelope that one of the trusted keys (PEM) signed.

    Raises HistoryBroken where it was changed, or signed by another key.
    """
    try:
        sealed = msgspec.json.decode(envelope, type=Envelope)
        digest = msgspec.json.decode(sealed.digest, type=Digest)
        signature = base64.b64decode(sealed.signature, validate=True)
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError) as error:
        raise HistoryBroken(f"Digest {name} is damaged: {error}.") from error
    if digest.format != FORMAT or digest.key.algorithm != ALGORITHM:
        raise HistoryBroken(f"Digest {name} is of a kind that this version does not know.")
    data = sealed.digest.encode()
    keys = {fingerprint(key): key for key in trusted}
    if digest.key.fingerprint not in keys:
        # An editor who leaves the name of the key alone ends below.
        raise HistoryBroken(
            f"Digest {name} was signed by another key, {digest.key.fingerprint[:16]}, and not by "
            f"{' or '.join(known[:16] for known in keys)}. If the key was changed on purpose, "
            "name the public key from before with --trust-key."
        )
    if not holds(keys[digest.key.fingerprint], signature, data):
        raise HistoryBroken(
            f"Digest {name} was changed after it was signed, or signed by another key: its "
            "signature does not hold."
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
