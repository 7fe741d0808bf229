"""What a commit has to say to webhook endpoints: the type and the body of its messages.

``data`` is what the API says of the job, the upload or the purchase, as it was right after the
event, without signed URLs: those would die in the receiver's log. ``stream`` and ``version`` in
it order messages, which may come in any order and more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.aggregate import Event
from domain.asset import AssetProbed, AssetRejected
from domain.commit import Commit
from domain.job import (
    SeparationCancelled,
    SeparationCompleted,
    SeparationFailed,
    SeparationHandedBack,
    SeparationRequested,
    SeparationRequeued,
    SeparationStarted,
)
from domain.purchase import PurchasePaid
from handlers.api.job_renderings import Live
from handlers.api.job_renderings import render as render_job
from handlers.api.library import render as render_asset
from handlers.api.purchases import render as render_purchase
from handlers.api.service import Service
from handlers.deliverer.envelopes import body
from projections import JOBS_VIEW, LIBRARY_VIEW, PURCHASES_VIEW
from projections.folding import fold, piece
from projections.projection import Projection
from projections.query import Versioned

_KINDS: dict[type[Event], str] = {
    SeparationRequested: "job.queued",
    SeparationRequeued: "job.queued",
    SeparationHandedBack: "job.queued",
    SeparationStarted: "job.started",
    SeparationCompleted: "job.completed",
    SeparationFailed: "job.failed",
    SeparationCancelled: "job.cancelled",
    AssetProbed: "asset.ready",
    AssetRejected: "asset.rejected",
    PurchasePaid: "purchase.paid",
}
KINDS = {event.event_name(): kind for event, kind in _KINDS.items()}
"""Types of messages by names of events; template.yaml's WebhooksRule lets these pass."""


class Message(Struct, frozen=True):
    """Something that happened: at that version of a stream, at that time (epoch ms), to the
    person that owns the stream. body: JSON, as it is sent.
    """

    user_id: str
    stream: str
    version: int
    time: int
    type: str
    body: str


class _Kind(Struct):
    """Any event, as far as its name goes."""

    type: str


class Messages:
    """service: what the API renders with."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._views: dict[str, tuple[Projection[Any], Callable[[Any], Any]]] = {
            "job": (JOBS_VIEW, self._job),
            "asset": (LIBRARY_VIEW, lambda found: render_asset(service, found)),
            "purchase": (PURCHASES_VIEW, render_purchase),
        }

    def of(self, history: list[Commit]) -> Iterator[Message]:
        """What the last one of a stream's commits has to say. history: all up to it."""
        *before, last = history
        if last.stream.partition("-")[0] not in self._views:
            return
        events = msgspec.json.decode(last.events, type=list[msgspec.Raw])
        for count, raw in enumerate(events, 1):
            name = msgspec.json.decode(raw, type=_Kind).type.partition(".v")[0]
            if kind := KINDS.get(name):
                # As the event left it, be there later ones in the same commit.
                upto = replace(
                    last,
                    last=last.first + count - 1,
                    events=msgspec.json.encode(events[:count]).decode(),
                )
                yield self._message(kind, [*before, upto])

    def _message(self, kind: str, history: list[Commit]) -> Message:
        last = history[-1]
        projection, render = self._views[last.stream.partition("-")[0]]
        folded = fold(projection, "", last.stream, [piece(commit) for commit in history])
        if folded.stuck:
            raise folded.stuck
        assert folded.head is not None
        view = projection.read(folded.head)
        text = body(kind, last.t, render(Versioned(last.stream, last.last, view)))
        owner = projection.index(view).owner
        return Message(owner, last.stream, last.last, last.t, kind, text)

    def _job(self, found: Versioned[Any]) -> Any:
        return render_job(self._service, found, Live(), links=False)
