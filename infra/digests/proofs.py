"""A proof that an event stands in a signed digest, which needs nothing of ours to be checked.

It leads from the event's commit, whose content it has in full, over the hashes of the later
commits to the stream's head, and from there over the Merkle path to the root that was signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from domain import merkle
from domain.commit import Commit, verify_chain
from domain.errors import HistoryBroken, Invalid, NotFound
from infra.digests.document import Envelope, Head

FORMAT = "splitsound-proof-1"


class NotCovered(NotFound):
    """The digest is older than the event."""


class Proof(Struct, frozen=True, kw_only=True):
    """One event of a commit, and how the commit leads to a signed digest.

    version: the event's, in its stream; event: its JSON object as it stands in the commit.
    commit: the JSON text of its content; before: the hash before it, in hex; peers: JSON text.
    later: (SHA-256 of the content in hex, peers' JSON text) of each later commit up to the head.
    head: the leaf, JSON text ``[stream, version, hash]``; index: its place in the tree, from 0,
    whose size is the number of streams in the digest; path: hashes in hex, lowest first.
    digest: the digest's text; signature: in base64.
    """

    format: str
    version: int
    event: Raw
    commit: str
    before: str
    peers: str
    later: list[tuple[str, str]]
    head: str
    index: int
    path: list[str]
    digest: str
    signature: str


def found(commits: Iterable[Commit], event: str) -> list[int]:
    """The versions that ``event`` means: a version, or an id that an event or a command has."""
    if event.isdecimal():
        number = int(event)
        return [number for c in commits if c.first <= number <= c.last]
    return [
        version
        for commit in commits
        for version, fields in enumerate(_fields(commit), commit.first)
        if event == commit.cmd or event in fields.values()
    ]


def _fields(commit: Commit) -> list[dict[str, object]]:
    if not isinstance(commit.events, str):
        return []
    return msgspec.json.decode(commit.events, type=list[dict[str, object]])


def prove(
    commits: Sequence[Commit], version: int, heads: Sequence[Head], envelope: Envelope
) -> Proof:
    """The proof of the event at ``version``. commits: the whole stream; heads: of the digest.

    envelope: the digest's; both were checked, see ``checking``.

    Raises NotCovered where the digest does not cover it, HistoryBroken where the stream does not
    say any more what the digest says.
    """
    verify_chain(commits)
    stream = commits[0].stream
    if not isinstance(commits[0].events, str):
        raise Invalid(f"{stream} does not hold JSON; such events cannot be proved.")
    index, head = next(
        ((n, head) for n, head in enumerate(heads) if head.stream == stream), (0, None)
    )
    if head is None or head.version < version:
        raise NotCovered(f"The digest is older than version {version} of {stream}")
    upto = [commit for commit in commits if commit.last <= head.version]
    if not upto or upto[-1].last != head.version or upto[-1].hash.hex() != head.hash:
        raise HistoryBroken(
            f"{stream} does not say any more what it said at version {head.version}, when the "
            "digest was signed: it was rewritten, or its tail was cut off."
        )
    start, own = next((n, c) for n, c in enumerate(upto) if c.first <= version <= c.last)
    events = msgspec.json.decode(own.events, type=list[Raw])
    path = merkle.path((each.leaf() for each in heads), index)
    return Proof(
        format=FORMAT,
        version=version,
        event=events[version - own.first],
        commit=own.content().decode(),
        before=own.prev.hex(),
        peers=_peers(own),
        later=[(each.body().hex(), _peers(each)) for each in upto[start + 1 :]],
        head=head.leaf().decode(),
        index=index,
        path=[each.hex() for each in path],
        digest=envelope.digest,
        signature=envelope.signature,
    )


def _peers(commit: Commit) -> str:
    return msgspec.json.encode(commit.peers).decode()
