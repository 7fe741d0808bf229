"""The message that a commit sends. It rings; the event store is the truth.

Delivery may be duplicated, reordered or lost, so nothing may depend on it beyond waking
up. Events ride along while they are small, to spare the reader a query.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from msgspec import Struct

from domain.commit import Commit

SOURCE = "splitsound"
DETAIL_TYPE = "Commit"
# EventBridge takes 256 KB per call of up to ten entries; SQS takes 256 KB per message.
MAX_RIDING_BYTES = 16 * 1024
NONE_RIDE = msgspec.Raw(b"[]")
ROUTED = frozenset({"SeparationRequested", "SeparationRequeued", "SeparationHandedBack"})
"""What rules route by lane: they see a doorbell's own members, not those of its events."""


class Doorbell(Struct, frozen=True, omit_defaults=True):
    """Versions first..last of a stream were committed; events while they are small, else none.

    types lets rules match without decoding bodies; origin marks an imported commit,
    which must not fire workers again; lane: the queue that a separation waits in; trace: W3C
    traceparent of the step that rang.
    """

    stream: str
    first: int
    last: int
    types: tuple[str, ...]
    t: int
    actor: str = ""
    cmd: str = ""
    corr: str = ""
    origin: str | None = None
    events: msgspec.Raw = NONE_RIDE
    lane: str = ""
    trace: str = ""

    @property
    def category(self) -> str:
        """``job`` of ``job-<id>``."""
        return self.stream.partition("-")[0]

    @property
    def identity(self) -> str:
        """``<id>`` of ``job-<id>``."""
        return self.stream.partition("-")[2]


class _Envelope(Struct):
    detail: Doorbell


class _Routed(Struct):
    """Any event, as far as it says where its job waits."""

    lane: str = ""


_routed = msgspec.json.Decoder(list[_Routed])


def ring(commit: Commit) -> Doorbell:
    """The doorbell of a commit."""
    return Doorbell(
        commit.stream, commit.first, commit.last, commit.types, commit.t,
        commit.actor, commit.cmd, commit.corr, commit.origin,
        riding(commit.events), lane(commit.types, commit.events), commit.trace,
    )  # fmt: skip


def riding(events: str | bytes | None) -> msgspec.Raw:
    """The events that ride along: a commit's JSON text while it is small, else none."""
    if not isinstance(events, str) or len(events) > MAX_RIDING_BYTES:
        return NONE_RIDE
    return msgspec.Raw(events.encode())


def lane(types: Collection[str], events: str | bytes | None) -> str:
    """The lane that a commit's events name; empty where its types wake no separation."""
    if not isinstance(events, str) or ROUTED.isdisjoint(types):
        return ""
    named = (event.lane for event in _routed.decode(events))
    return next((each for each in named if each), "")


def parse(body: str | bytes) -> Doorbell:
    """The doorbell in a queue message: the ``detail`` of an EventBridge event."""
    return msgspec.json.decode(body, type=_Envelope).detail


def envelope(doorbell: Doorbell) -> str:
    """A queue message like EventBridge's, for ringing a queue directly."""
    message = {"source": SOURCE, "detail-type": DETAIL_TYPE, "detail": doorbell}
    return msgspec.json.encode(message).decode()
