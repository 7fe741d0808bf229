"""The commit store on DynamoDB: one item per commit, put only where its place is free.

A single-stream append is one conditional PutItem; more streams go into one
TransactWriteItems. ``attribute_not_exists(stream_id)`` guards the place (stream_id, seq),
and because a commit's ``seq`` follows the tip that a consistent load returned, two writers
on the same tip meet at the same place. A failed condition returns the item that stands
there (ALL_OLD): when it is our own earlier try, the retry had already succeeded.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from domain.commit import Commit, Peer
from domain.errors import AccessDenied, Unavailable
from infra import tracing
from infra.event_store.store import (
    SNAPSHOT_COMMITS,
    CommitStore,
    StreamTaken,
    byte_size,
    same_command,
)
from infra.faults import unavailable

if TYPE_CHECKING:
    from commands.ports import Clock, Pause

Item = dict[str, Any]

# Every attribute is named by placeholder: `stream` and many short words are reserved.
_FREE = {
    "ConditionExpression": "attribute_not_exists(#stream_id)",
    "ExpressionAttributeNames": {"#stream_id": "stream_id"},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
# Codes that say "nothing was written, send it again".
_SEND_AGAIN = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_SENDS = 6
# An item may have 400 KB; a snapshot that does not fit beside the events waits.
_MAX_ITEM_BYTES = 380 * 1024


class DynamoDBStore(CommitStore):
    """client: a low-level boto3 DynamoDB client (thread-safe). pause: waits between sends."""

    def __init__(self, client: Any, table: str, clock: Clock, pause: Pause = time.sleep) -> None:
        super().__init__(clock)
        self._pause = pause
        self._client = client
        self._table = table

    def newest_first(
        self, stream: str, upto: int | None = None, page: int = SNAPSHOT_COMMITS
    ) -> Iterator[Commit]:
        """See CommitStore. upto: leave out commits that begin above that version."""
        return self._query(stream, "<=", upto, forward=False, Limit=page)

    def read(self, stream: str, after: int = 0, page: int | None = None) -> Iterator[Commit]:
        """See CommitStore."""
        options = {} if page is None else {"Limit": page}
        return self._query(stream, ">", after, forward=True, **options)

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        """See CommitStore. Eventually consistent reads: half the price.

        A scan gives a stream's items together, but no document promises their order (the
        emulator sorts 10 before 2): from the first gap on, the rest of a stream is queried.
        """
        request = {"TableName": self._table, "Segment": segment, "TotalSegments": segments}
        stream, last = "", 0
        queried = False
        for commit in self._pages(self._client.scan, request):
            if commit.stream != stream:
                stream, last, queried = commit.stream, min(commit.first, 1) - 1, False
            if queried:
                continue
            if commit.first == last + 1:
                yield commit
                last = commit.last
            else:
                queried = True
                yield from self.read(stream, last)

    def estimate(self) -> int:
        """See CommitStore. DynamoDB counts every six hours or so."""
        try:
            table = self._client.describe_table(TableName=self._table)["Table"]
        except (ClientError, BotoCoreError) as error:
            raise unavailable("DynamoDB", error) from error
        return int(table["ItemCount"])

    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        """See CommitStore."""
        items = [to_item(c) for c in commits]
        try:
            if len(items) == 1:
                return [self._put_one(commits[0], items[0])]
            return self._put_together(commits, items)
        except (ClientError, BotoCoreError) as error:
            # A write that got no answer may stand all the same: only the same command, sent
            # again, finds out.
            refused = unavailable("DynamoDB", error, f"table/{self._table}")
            if isinstance(refused, AccessDenied):
                raise refused from error
            raise Unavailable(
                f"DynamoDB did not confirm the write ({error}); send the same command again."
            ) from error

    def _put_one(self, commit: Commit, item: Item) -> Commit:
        for send in range(_SENDS):
            try:
                self._client.put_item(TableName=self._table, Item=item, **_FREE)
            except self._client.exceptions.ConditionalCheckFailedException as error:
                return _ours(commit, error.response.get("Item"))
            except self._client.exceptions.TransactionConflictException:
                # Somebody's transaction holds this very place; botocore does not retry that.
                self._wait(send)
            else:
                return commit
        raise _busy()

    def _put_together(self, commits: Sequence[Commit], items: Sequence[Item]) -> list[Commit]:
        puts = [{"Put": {"TableName": self._table, "Item": i, **_FREE}} for i in items]
        for send in range(_SENDS):
            try:
                self._client.transact_write_items(TransactItems=puts)
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = error.response["CancellationReasons"]
                codes = {r.get("Code") for r in reasons}
                if "ConditionalCheckFailed" in codes:
                    return [
                        _ours(commit, reason.get("Item"))
                        for commit, reason in zip(commits, reasons, strict=True)
                    ]
                if not codes & _SEND_AGAIN:
                    raise
                self._wait(send)
            else:
                return list(commits)
        raise _busy()

    def _wait(self, send: int) -> None:
        self._pause(random.uniform(0, 0.02 * 2**send))  # noqa: S311 - jitter, no secret

    def _query(
        self, stream: str, comparison: str, seq: int | None, *, forward: bool, **options: Any
    ) -> Iterator[Commit]:
        condition = "#stream_id = :stream_id"
        names = {"#stream_id": "stream_id"}
        values: Item = {":stream_id": {"S": stream}}
        if seq is not None:
            condition += f" AND #seq {comparison} :seq"
            names["#seq"] = "seq"
            values[":seq"] = {"N": str(seq)}
        request = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": forward,
            **options,
        }
        return self._pages(self._client.query, request)

    def _pages(self, call: Callable[..., Any], request: dict[str, Any]) -> Iterator[Commit]:
        while True:
            try:
                answer = call(**request)
            except (ClientError, BotoCoreError) as error:
                raise unavailable("DynamoDB", error, f"table/{self._table}") from error
            for item in answer["Items"]:
                yield from_item(item)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _busy() -> Unavailable:
    return Unavailable("Other transactions kept the streams busy; send the command again.")


def _ours(ours: Commit, winner: Item | None) -> Commit:
    """The commit of our first try, if that is what took our place. Raises StreamTaken."""
    found = from_item(winner) if winner else None
    if found is None or not same_command(found, ours):
        raise StreamTaken(f"{ours.stream} moved on past version {ours.first - 1}.")
    return found


def to_item(commit: Commit) -> Item:
    """The commit as DynamoDB attributes; empty ones are left out."""
    events = commit.events
    item: Item = {
        "stream_id": {"S": commit.stream},
        "seq": {"N": str(commit.first)},
        "n": {"N": str(commit.last)},
        "types": {"SS": list(commit.types)},
        "events": {"S": events} if isinstance(events, str) else {"B": events},
        "cmd": {"S": commit.cmd},
        "t": {"N": str(commit.t)},
        "prev": {"B": commit.prev},
        "hash": {"B": commit.hash},
    }
    for name in ("actor", "corr", "cause", "origin"):
        if text := getattr(commit, name):
            item[name] = {"S": text}
    if commit.trace:
        item["trace"] = {"B": tracing.packed(commit.trace)}
    if commit.peers:
        item["peers"] = {"S": msgspec.json.encode(commit.peers).decode()}
    if commit.snapshot and byte_size(commit.snapshot) + byte_size(events) < _MAX_ITEM_BYTES:
        item["snap"] = {"S": commit.snapshot}
    return item


def from_item(item: Item) -> Commit:
    """The commit that an item holds.

    An attribute that somebody removed, or that is none of ours any more, is read as empty:
    whoever checks the chain finds the place, and other streams are read on.
    """
    events = item.get("events", {})
    first = _number(item, "seq")
    return Commit(
        stream=item["stream_id"]["S"],
        first=first,
        last=_number(item, "n") or first,
        types=tuple(sorted(item.get("types", {}).get("SS", ()))),
        events=events.get("S", events.get("B", "")),
        cmd=_text(item, "cmd") or "",
        t=_number(item, "t"),
        actor=_text(item, "actor") or "",
        corr=_text(item, "corr") or "",
        cause=_text(item, "cause") or "",
        prev=item.get("prev", {}).get("B", b""),
        peers=_peers(_text(item, "peers")),
        hash=item.get("hash", {}).get("B", b""),
        origin=_text(item, "origin"),
        snapshot=_text(item, "snap"),
        trace=tracing.unpacked(item.get("trace", {}).get("B", b"")),
    )


def _text(item: Item, name: str) -> str | None:
    value = item.get(name, {}).get("S")
    return None if value is None else str(value)


def _number(item: Item, name: str) -> int:
    # DynamoDB's numbers may have a fraction, or an exponent.
    return int(Decimal(item.get(name, {}).get("N", 0)))


def _peers(text: str | None) -> tuple[Peer, ...]:
    try:
        return msgspec.json.decode(text or "[]", type=tuple[Peer, ...])
    except (msgspec.DecodeError, RecursionError):
        # So that the hash does not fit: without peers it might.
        return (Peer("unreadable", 0, ""),)
