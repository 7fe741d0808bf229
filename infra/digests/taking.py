"""Take a digest: scan, see that nothing was rewritten since the one before, sign, store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import BinaryIO

import msgspec
from msgspec import Struct

from domain.errors import Conflict, HistoryBroken
from infra.clock import stamp
from infra.digests.bucket import AuditBucket
from infra.digests.checking import heads_of, opened
from infra.digests.document import (
    FORMAT,
    Digest,
    Envelope,
    Head,
    KeyName,
    Previous,
    name_of,
    write_heads,
)
from infra.digests.scanning import Finding, Scanned, told
from infra.digests.sealing import signature
from infra.digests.signers import ALGORITHM, Signer, fingerprint

_MOST_TOLD = 20


class Before(Struct, frozen=True):
    """The digest that a new one builds on."""

    reference: Previous
    digest: Digest
    heads: dict[str, Head]


class Taken(Struct, frozen=True):
    """A new digest: its name, what it says, and its envelope file."""

    name: str
    digest: Digest
    envelope: bytes


class Rewritten(HistoryBroken):
    """Histories do not say any more what they said. Carries ``findings``."""

    def __init__(self, findings: Sequence[Finding], since: str | None) -> None:
        """since: the name of the digest that says otherwise."""
        shown = list(told(findings[:_MOST_TOLD]))
        more = len(findings) - len(shown)
        rest = [f"and {more} more"] if more else []
        what = "The history is broken" + (f" since {since}" if since else "")
        super().__init__(
            f"{what}, so nothing was signed:\n" + "\n".join(f"  {each}" for each in shown + rest),
            findings=[msgspec.structs.asdict(each) for each in findings],
        )


def newest(bucket: AuditBucket, trusted: Sequence[bytes]) -> Before | None:
    """The newest digest with its heads, checked. Raises HistoryBroken."""
    names = bucket.names()
    if not names:
        return None
    name = names[-1]
    envelope = bucket.envelope(name)
    digest = opened(name, envelope, trusted)
    heads = heads_of(name, digest, bucket.head_lines(name))
    reference = Previous(name, hashlib.sha256(envelope).hexdigest())
    return Before(reference, digest, {head.stream: head for head in heads})


def take(
    scanned: Scanned,
    before: Before | None,
    signer: Signer,
    deployment: str,
    began: int,
    heads: BinaryIO,
) -> Taken:
    """Sign what a scan found; its heads file is written to ``heads``.

    scanned: with the heads of ``before`` as expected. began: when the scan did, epoch ms.
    Raises Rewritten where it found that something is not as it was, Conflict where ``before`` is
    from later: names have to sort by time.
    """
    if scanned.findings:
        raise Rewritten(scanned.findings, before.reference.name if before else None)
    file, root = write_heads(scanned.heads, heads)
    name, taken_at = name_of(began, root), stamp(began)
    if before and name <= before.reference.name:
        raise Conflict(
            f"It is {taken_at} here, and {before.reference.name} was taken at "
            f"{before.digest.taken_at}: see that the clock is right, and run the command again."
        )
    digest = Digest(
        format=FORMAT,
        deployment=deployment,
        day=taken_at[:10],
        taken_at=taken_at,
        streams=len(scanned.heads),
        events=scanned.events,
        root=root,
        heads=file,
        previous=before.reference if before else None,
        key=KeyName(ALGORITHM, fingerprint(signer.public_key)),
    )
    text = msgspec.json.encode(digest)
    envelope = Envelope(text.decode(), signature(text, signer), signer.public_key.decode())
    return Taken(name, digest, msgspec.json.encode(envelope))
