"""Digests: the heads of all streams at one time under one signature, kept where nobody edits them.

The hash chain of a stream shows an edited, reordered or missing commit. It does not show a tail
that was cut off, nor a stream that was written anew as a whole; a digest from before does.
"""

from infra.digests.bucket import AuditBucket, DigestFile, Lock, Source
from infra.digests.checking import chain, heads_of, opened
from infra.digests.document import Digest, Envelope, Head
from infra.digests.proofs import Proof, prove
from infra.digests.scanning import Finding, Scanned, scan_heads
from infra.digests.signers import KeyFileSigner, KmsSigner, Signer, fingerprint
from infra.digests.taking import Taken, take

__all__ = [
    "AuditBucket",
    "Digest",
    "DigestFile",
    "Envelope",
    "Finding",
    "Head",
    "KeyFileSigner",
    "KmsSigner",
    "Lock",
    "Proof",
    "Scanned",
    "Signer",
    "Source",
    "Taken",
    "chain",
    "fingerprint",
    "heads_of",
    "opened",
    "prove",
    "scan_heads",
    "take",
]
