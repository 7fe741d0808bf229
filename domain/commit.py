"""A commit: all events that one command appends to one stream, and the hash chain.

The chain makes an edited, reordered or missing commit detectable::

    body = SHA-256 of the JSON array
           [stream, first, last, types, events, cmd, t, actor, corr, cause]
    hash = SHA-256 of prev ‖ body ‖ the JSON array of peers, [[stream, first, body in hex], ...]

``prev`` is the previous commit's hash (32 zero bytes at the start). ``peers`` are the
commits of the same transaction in other streams. ``origin``, ``snapshot`` and ``trace`` are not
hashed: the first is set on import, the second is derived, the third is for those who watch and
stays behind when a commit moves.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from domain.aggregate import Aggregate, Event, Recorded
from domain.errors import HistoryBroken

GENESIS = bytes(32)
_encode = msgspec.json.Encoder().encode
_sha256 = hashlib.sha256
_NO_PEERS = b"[]"
# The origin of commits that a local stack gave back to its own emulator.
JOURNALED = "journal"

State = TypeVar("State")


class Meta(Struct, frozen=True):
    """Who acts and why: command id, actor, correlation and causation ids.

    corr: the id of the request that began it all; cause: of the command, or Stripe's event, that
    this one follows from. trace: W3C traceparent of the step that acts.
    """

    cmd: str
    actor: str
    corr: str = ""
    cause: str = ""
    trace: str = ""


class Peer(Struct, frozen=True, array_like=True):
    """The other half of a transaction: where it stands and the hash of its body."""

    stream: str
    first: int
    body: str


class Commit(Struct, frozen=True, kw_only=True):
    """One item of the event store. Versions ``first``..``last``; ``t`` in epoch milliseconds.

    events: a JSON array of tagged objects; bytes only for states that are not JSON.
    """

    stream: str
    first: int
    last: int
    types: tuple[str, ...]
    events: str | bytes
    cmd: str
    t: int
    actor: str = ""
    corr: str = ""
    cause: str = ""
    prev: bytes = GENESIS
    peers: tuple[Peer, ...] = ()
    hash: bytes = b""
    origin: str | None = None
    snapshot: str | None = None
    trace: str = ""

    def body(self) -> bytes:
        """SHA-256 of everything but the place in the chain."""
        return _sha256(self.content()).digest()

    def content(self) -> bytes:
        """What ``body`` is the hash of: a JSON array, these very bytes."""
        events = self.events
        if type(events) is bytes:
            events = base64.b64encode(events).decode()
        return _encode((
            self.stream, self.first, self.last, self.types, events,
            self.cmd, self.t, self.actor, self.corr, self.cause,
        ))  # fmt: skip

    def sealed(self, peers: tuple[Peer, ...] = ()) -> Commit:
        """This commit with its peers and its hash."""
        return msgspec.structs.replace(self, peers=peers, hash=self._linked(peers))

    def intact(self) -> bool:
        """Whether the hash is that of the content."""
        return self.hash == self._linked(self.peers)

    def _linked(self, peers: tuple[Peer, ...]) -> bytes:
        return _sha256(self.prev + self.body() + _encode(peers)).digest()

    def as_peer(self) -> Peer:
        """How the other half of a transaction names this one."""
        return Peer(self.stream, self.first, self.body().hex())


class Tip(Struct, frozen=True):
    """The end of a stream as a consistent read saw it: what an append builds on.

    commits, size: number and bytes of commits since the last snapshot.
    """

    stream: str
    version: int = 0
    hash: bytes = GENESIS
    t: int = 0
    commits: int = 0
    size: int = 0
    last: Commit | None = None


class Loaded(Generic[State]):
    """An aggregate's state and the tip that it was folded from."""

    __slots__ = ("aggregate", "state", "tip")

    def __init__(self, aggregate: Aggregate[State], state: State, tip: Tip) -> None:
        self.aggregate = aggregate
        self.state = state
        self.tip = tip

    @property
    def version(self) -> int:
        """The stream's version; 0 when it does not exist yet."""
        return self.tip.version


class Append(Struct, frozen=True):
    """Events that go to the end of one loaded stream. Only a Loaded has a tip to build on."""

    onto: Loaded  # type: ignore[type-arg]  # any aggregate
    events: Sequence[Event]


class Chain:
    """Follows one stream, commit by commit, and says where its chain does not hold.

    version, hash, t: of the last commit that was followed. after: where to go on from; None to
    begin with the stream's first commit.
    """

    __slots__ = ("hash", "stream", "t", "version")

    def __init__(self, after: Tip | None = None) -> None:
        tip = after or Tip("")
        self.stream, self.version, self.hash, self.t = tip.stream, tip.version, tip.hash, tip.t

    def follow(self, commit: Commit) -> bytes:
        """Take the next commit; its body's hash.

        Raises HistoryBroken where it is edited, reordered, foreign, or follows a missing one. It
        is taken all the same, so that whoever wants to know the rest goes on behind it.
        """
        if not self.stream:
            self.stream, self.version = commit.stream, min(commit.first, 1) - 1
        body = _sha256(commit.content()).digest()
        peers = commit.peers
        linked = commit.prev + body + (_encode(peers) if peers else _NO_PEERS)
        # All is well, nearly always: one look at everything, and words only where it is not.
        whole = (
            commit.first == self.version + 1
            and commit.prev == self.hash
            and commit.hash == _sha256(linked).digest()
            and commit.t >= self.t
            and commit.last >= commit.first
            and commit.stream == self.stream
        )
        wrong = "" if whole else self._wrong(commit)
        self.version, self.hash, self.t = commit.last, commit.hash, commit.t
        if wrong:
            raise HistoryBroken(f"{commit.stream} version {commit.first}: {wrong}.")
        return body

    def _wrong(self, commit: Commit) -> str:
        if commit.stream != self.stream:
            return f"belongs to another stream than {self.stream}"
        if commit.first != self.version + 1 or commit.last < commit.first:
            return f"expected version {self.version + 1}; a commit is missing"
        if commit.prev != self.hash:
            return "does not follow the commit before it"
        if commit.t < self.t:
            return "is older than the commit before it"
        return "its content was changed after it was written"


def verify_chain(commits: Iterable[Commit], after: Tip | None = None) -> Tip:
    """Walk one stream's commits in order; the last one's place as a Tip.

    Raises HistoryBroken where a commit is edited, missing, reordered or foreign.
    """
    chain, last = Chain(after), None
    for last in commits:
        chain.follow(last)
    if last is None:
        return after or Tip("")
    return Tip(last.stream, last.last, last.hash, last.t, last=last)


def recorded(aggregate: Aggregate[State], commits: Iterable[Commit]) -> Iterable[Recorded]:
    """The events of commits in order, each with its version, time and actor."""
    for commit in commits:
        assert isinstance(commit.events, str)
        for offset, event in enumerate(aggregate.decode(commit.events)):
            yield Recorded(event, commit.stream, commit.first + offset, commit.t, commit.actor)
