"""The commit store as a persistence module of the ``eventsourcing`` library.

::

    InfrastructureFactory.construct(env={
        "PERSISTENCE_MODULE": "infra.event_store",
        "EVENTS_TABLE": "splitsound-dev-events",
        "CREATE_TABLE": "yes",        # the default, as in the library's own modules
    })

and the standard AWS variables, in ``env`` or in the process's environment. What the library
calls snapshots goes to a table of its own, ``<EVENTS_TABLE>-snapshots``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.domain import TAggregateID
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    DataError,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    Mapper,
    NotSupportedError,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.utils import strtobool

from domain.commit import Commit, Tip
from domain.errors import CommitTooLarge, Unavailable
from infra.clock import SystemClock, SystemIds
from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.mapper import StructMapper
from infra.event_store.store import CommitStore, StreamTaken, byte_size, chained, check_size
from infra.event_store.table import create_table, dynamodb_client

_PAGE = 100


class CommitRecorder(AggregateRecorder):
    """Stored events in commits; one call is one transaction, all or nothing.

    contiguous: a stream has no gaps and begins at version 0 or 1. Snapshots are not such a
    stream: each stands alone at its aggregate's version.
    """

    def __init__(self, store: CommitStore, *, contiguous: bool = True) -> None:
        self._store = store
        self._contiguous = contiguous
        self._clock = SystemClock()
        self._ids = SystemIds(self._clock)

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,  # noqa: ARG002 - the library passes what other recorders need
    ) -> None:
        """Raises IntegrityError when a version is taken or does not follow its stream's tip."""
        if not stored_events:
            return
        # A fresh command id per call: a second call with equal events is another command and is
        # refused, while a request that botocore sends again is recognised as this one.
        cmd, now = self._ids.fresh("cmd"), self._clock.now()
        with _library_errors():
            drafts = [
                _draft(tip, events, cmd, max(now, tip.t))
                for tip, events in self._runs(stored_events)
            ]
            self._store.put(chained(drafts))

    def _runs(
        self, stored_events: Sequence[StoredEvent]
    ) -> Iterator[tuple[Tip, Sequence[StoredEvent]]]:
        by_stream: dict[str, list[StoredEvent]] = defaultdict(list)
        for event in stored_events:
            by_stream[str(event.originator_id)].append(event)
        for stream, events in by_stream.items():
            if not self._contiguous:
                _require_unique(events)
                yield from ((Tip(stream), (event,)) for event in events)
                continue
            tip = self._tip(stream, events[0].originator_version)
            _require_contiguous(tip, events)
            yield tip, events

    def _tip(self, stream: str, first: int) -> Tip:
        last = next(self._store.newest_first(stream, page=1), None)
        if last is None:
            return Tip(stream, version=-1 if first == 0 else 0)
        return Tip(stream, last.last, last.hash, last.t)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events above ``gt`` up to ``lte``; they carry the id as it was asked with."""
        if limit is not None and limit <= 0:
            return []
        stream = str(originator_id)
        with _library_errors():
            if desc:
                found = self._backward(stream, gt, lte, limit)
                return list(islice(_stored(originator_id, found, gt, lte, desc=True), limit))
            if limit is None and (gt, lte) != (None, None):
                # Only walking back from ``lte`` meets the commit that straddles ``gt`` without
                # a query of its own, and it reads nothing above ``lte``.
                found = reversed(list(self._backward(stream, gt, lte, limit)))
            else:
                found = self._forward(stream, gt, lte, limit)
            return list(islice(_stored(originator_id, found, gt, lte), limit))

    def _backward(
        self, stream: str, gt: int | None, lte: int | None, limit: int | None
    ) -> Iterator[Commit]:
        # No more commits than events: never fetch a page larger than what can be wanted.
        span = _PAGE if lte is None else lte + 1 if gt is None else lte - gt
        page = max(1, min(span, limit or span, 10 * _PAGE))
        for commit in self._store.newest_first(stream, upto=lte, page=page):
            if gt is not None and commit.last <= gt:
                return
            yield commit
            if gt is not None and commit.first <= gt + 1:
                return

    def _forward(
        self, stream: str, gt: int | None, lte: int | None, limit: int | None
    ) -> Iterator[Commit]:
        after = -1
        if gt is not None:
            # The commit that begins at or below gt and may reach above it.
            yield from islice(self._store.newest_first(stream, upto=gt, page=1), 1)
            after = gt
        for commit in self._store.read(stream, after, page=limit):
            if lte is not None and commit.first > lte:
                return
            yield commit


def _require_contiguous(tip: Tip, events: Sequence[StoredEvent]) -> None:
    for expected, event in enumerate(events, tip.version + 1):
        if event.originator_version != expected:
            raise IntegrityError(
                f"{tip.stream} takes version {expected} next, not {event.originator_version}."
            )


def _require_unique(events: Sequence[StoredEvent]) -> None:
    versions = [event.originator_version for event in events]
    if len(set(versions)) != len(versions):
        raise IntegrityError(f"{events[0].originator_id}: a version stands twice in {versions}.")


def _draft(tip: Tip, events: Sequence[StoredEvent], cmd: str, now: int) -> Commit:
    body = pack([(e.topic, bytes(e.state)) for e in events])
    check_size(tip.stream, byte_size(body))
    return Commit(
        stream=tip.stream,
        first=events[0].originator_version,
        last=events[-1].originator_version,
        types=tuple(sorted({e.topic for e in events})),
        events=body,
        cmd=cmd,
        t=now,
        prev=tip.hash,
    )


class _Tagged(msgspec.Struct):
    type: str


_pairs = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
_states = msgspec.json.Decoder(list[msgspec.Raw])
_tags = msgspec.json.Decoder(list[_Tagged])


def pack(pairs: Sequence[tuple[str, bytes]]) -> str | bytes:
    """Topics and states as JSON text where each state names its topic, else as msgpack."""
    try:
        text = (b"[" + b",".join(state for _, state in pairs) + b"]").decode()
        if unpack(text) == pairs:
            return text
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return msgspec.msgpack.encode(pairs)


def unpack(events: str | bytes) -> list[tuple[str, bytes]]:
    """The topics and states of one commit's events, byte for byte as they were given."""
    if isinstance(events, bytes):
        return _pairs.decode(events)
    # Twice over the text in C is faster than once with a call per event.
    states, tags = _states.decode(events), _tags.decode(events)
    return [(tag.type, bytes(state)) for tag, state in zip(tags, states, strict=True)]


def _stored(
    originator_id: UUID | str,
    commits: Iterable[Commit],
    gt: int | None,
    lte: int | None,
    *,
    desc: bool = False,
) -> Iterator[StoredEvent]:
    for commit in commits:
        numbered = list(enumerate(unpack(commit.events), commit.first))
        for version, (topic, state) in reversed(numbered) if desc else numbered:
            if (gt is None or version > gt) and (lte is None or version <= lte):
                yield StoredEvent(originator_id, version, topic, state)


@contextmanager
def _library_errors() -> Iterator[None]:
    """Our errors as the ones that the library's users catch."""
    try:
        yield
    except StreamTaken as error:
        raise IntegrityError(str(error)) from error
    except CommitTooLarge as error:
        raise DataError(str(error)) from error
    except Unavailable as error:
        raise OperationalError(str(error)) from error


class DynamoDBFactory(InfrastructureFactory[TrackingRecorder]):
    """Gives aggregate recorders and, unless MAPPER_TOPIC says otherwise, a StructMapper."""

    EVENTS_TABLE = "EVENTS_TABLE"
    CREATE_TABLE = "CREATE_TABLE"

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """A recorder for ``events``, or for another purpose in a table of its own."""
        table = self.env.get(self.EVENTS_TABLE)
        if not table:
            raise InfrastructureFactoryError(
                f"{self.EVENTS_TABLE} is not set: name the DynamoDB table that holds the commits."
            )
        is_history = purpose == "events"
        if not is_history:
            table = f"{table}-{purpose}"
        client = dynamodb_client(self.env)
        if strtobool(self.env.get(self.CREATE_TABLE) or "yes"):
            create_table(client, table, history=is_history)
        store = DynamoDBStore(client, table, SystemClock())
        return CommitRecorder(store, contiguous=is_history)

    def mapper(
        self,
        transcoder: Transcoder | None = None,
        mapper_class: type[Mapper[TAggregateID]] | None = None,
    ) -> Mapper[TAggregateID]:
        """See the library; ours maps Structs and the library's events alike."""
        if mapper_class is None and not self.env.get(self.MAPPER_TOPIC):
            mapper_class = StructMapper[TAggregateID]
        return super().mapper(transcoder, mapper_class)

    def application_recorder(self) -> ApplicationRecorder:
        """Raises NotSupportedError: see the message."""
        raise self._no_global_order("application_recorder")

    def tracking_recorder(
        self,
        tracking_recorder_class: type[TrackingRecorder] | None = None,  # noqa: ARG002 - refused
    ) -> TrackingRecorder:
        """Raises NotSupportedError: see the message."""
        raise self._no_global_order("tracking_recorder")

    def process_recorder(self) -> ProcessRecorder:
        """Raises NotSupportedError: see the message."""
        raise self._no_global_order("process_recorder")

    def _no_global_order(self, asked: str) -> NotSupportedError:
        return NotSupportedError(
            f"{asked} needs one order over all streams. DynamoDB gives none without a counter "
            "that every write would queue for; projections here follow each stream by its own "
            "versions instead (see projections/). Use aggregate_recorder()."
        )
