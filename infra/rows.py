"""The read-model table: pk ``generation#stream``, sk ``head`` or ``line#<version>``.

Index ``by_owner`` lists a user's heads, ``by_status`` lists heads across users.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import Unavailable
from infra import tracing
from infra.cursors import decode_cursor, encode_cursor
from infra.faults import unavailable
from infra.metering import item_size
from projections.ports import HEAD, Page, Row

Item = dict[str, Any]

# What DynamoDB takes in one call, and how often we ask for what it left undone.
_READS, _WRITES, _TRIES = 100, 25, 8
_NAME = re.compile(r"#(\w+)")


class DynamoDBRows:
    """Rows (see projections.ports). client: a low-level boto3 DynamoDB client (thread-safe)."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def head(self, generation: str, stream: str) -> Row | None:
        """See Rows."""
        key = _key(generation, stream, HEAD)
        found = self._call("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        return _from_item(found["Item"]) if "Item" in found else None

    def heads(self, generation: str, streams: Sequence[str]) -> dict[str, Row]:
        """See Rows. Batches of a hundred."""
        keys = [_key(generation, stream, HEAD) for stream in dict.fromkeys(streams)]
        rows = map(_from_item, self._batch_read(keys))
        return {row.stream: row for row in rows}

    def write(
        self, head: Row, lines: Sequence[Row], expected: int, mends: int | None = None
    ) -> bool:
        """See Rows."""
        with tracing.stage("write rows", stream=head.stream, version=head.version):
            self._batch_write([{"PutRequest": {"Item": to_item(row)}} for row in lines])
            return self._put(head, expected, head.mends if mends is None else mends)

    def _put(self, head: Row, expected: int, mends: int) -> bool:
        if not expected:
            condition, values = "attribute_not_exists(#pk)", {}
        elif mends:
            condition = "#v = :v AND #mends = :mends"
            values = {":v": _number(expected), ":mends": _number(mends)}
        else:
            condition = "#v = :v AND attribute_not_exists(#mends)"
            values = {":v": _number(expected)}
        request = _where("ConditionExpression", condition, values)
        try:
            self._client.put_item(TableName=self._table, Item=to_item(head), **request)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error
        return True

    def lines(self, generation: str, stream: str, limit: int, cursor: str | None = None) -> Page:
        """See Rows."""
        values = {":pk": _text(_pk(generation, stream)), ":line": _text("line#")}
        request = _keyed("#pk = :pk AND begins_with(#sk, :line)", values)
        return self._page(request | {"ConsistentRead": True}, limit, cursor)

    def owned(
        self,
        generation: str,
        owner: str,
        limit: int,
        cursor: str | None = None,
        between: tuple[str, str] | None = None,
    ) -> Page:
        """See Rows. The index is eventually consistent."""
        condition, values = "#owner = :owner", {":owner": _text(_indexed(generation, owner))}
        if between:
            condition += " AND #sort BETWEEN :low AND :high"
            values |= {":low": _text(between[0]), ":high": _text(between[1])}
        request = _keyed(condition, values)
        return self._page(request | {"IndexName": "by_owner"}, limit, cursor)

    def with_status(self, generation: str, status: str) -> Iterator[Row]:
        """See Rows. The index is eventually consistent."""
        request = _keyed("#status = :status", {":status": _text(_indexed(generation, status))})
        for items in self._pages("query", request | {"IndexName": "by_status"}):
            yield from map(_from_item, items)

    def scan(self, generation: str, segment: int = 0, segments: int = 1) -> Iterator[Row]:
        """See Rows. Reads, and pays for, the rows of all generations."""
        for items in self._scanned(generation, segment, segments):
            yield from map(_from_item, items)

    def delete(self, rows: Sequence[Row]) -> None:
        """See Rows."""
        self._delete([_key(row.generation, row.stream, row.key) for row in rows])

    def drop(self, generation: str, segment: int = 0, segments: int = 1) -> int:
        """See Rows."""
        count = 0
        for items in self._scanned(generation, segment, segments):
            self._delete([{"pk": item["pk"], "sk": item["sk"]} for item in items])
            count += len(items)
        return count

    def size(self, row: Row) -> int:
        """Bytes of the row's item, as DynamoDB counts them."""
        return item_size(to_item(row))

    # --- pages and batches --------------------------------------------------------------

    def _page(self, request: Item, limit: int, cursor: str | None) -> Page:
        """Newest first."""
        rows: list[Row] = []
        key = decode_cursor(cursor)
        while True:
            # DynamoDB may end a page by its size, before the limit.
            now = {**request, "ScanIndexForward": False, "Limit": limit - len(rows)}
            items, key = self._asked("query", now, key)
            rows += map(_from_item, items)
            if key is None or len(rows) >= limit:
                return Page(rows, encode_cursor(key))

    def _scanned(self, generation: str, segment: int, segments: int) -> Iterator[list[Item]]:
        values = {":begin": _text(f"{generation}#")}
        request = _where("FilterExpression", "begins_with(#pk, :begin)", values)
        return self._pages("scan", request | {"Segment": segment, "TotalSegments": segments})

    def _pages(self, operation: str, request: Item) -> Iterator[list[Item]]:
        key: Item | None = None
        while True:
            items, key = self._asked(operation, request, key)
            yield items
            if key is None:
                return

    def _asked(
        self, operation: str, request: Item, key: Item | None
    ) -> tuple[list[Item], Item | None]:
        start = {"ExclusiveStartKey": key} if key else {}
        answer = self._call(operation, TableName=self._table, **request, **start)
        return answer["Items"], answer.get("LastEvaluatedKey")

    def _delete(self, keys: Sequence[Item]) -> None:
        self._batch_write([{"DeleteRequest": {"Key": key}} for key in keys])

    def _batch_write(self, writes: Sequence[Item]) -> None:
        for start in range(0, len(writes), _WRITES):
            left = writes[start : start + _WRITES]
            for tried in range(_TRIES):
                answer = self._call("batch_write_item", RequestItems={self._table: left})
                left = answer.get("UnprocessedItems", {}).get(self._table, ())
                if not left:
                    break
                _wait(tried)
            else:
                raise _undone()

    def _batch_read(self, keys: Sequence[Item]) -> Iterator[Item]:
        for start in range(0, len(keys), _READS):
            left = keys[start : start + _READS]
            for tried in range(_TRIES):
                wanted = {self._table: {"Keys": left, "ConsistentRead": True}}
                answer = self._call("batch_get_item", RequestItems=wanted)
                yield from answer["Responses"].get(self._table, ())
                left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", ())
                if not left:
                    break
                _wait(tried)
            else:
                raise _undone()

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return getattr(self._client, operation)(**request)
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return unavailable("The read models", error, f"table/{self._table}")


def _wait(tried: int) -> None:
    time.sleep(random.uniform(0, 0.02 * 2**tried))  # noqa: S311 - jitter, no secret


def _undone() -> Unavailable:
    return Unavailable("The read models kept leaving rows of a batch undone; try again.")


def to_item(row: Row) -> Item:
    """The item that holds a row."""
    item = _key(row.generation, row.stream, row.key)
    item |= {"v": _number(row.version), "body": _text(row.body)}
    if row.owner:
        item["owner"] = _text(_indexed(row.generation, row.owner))
    if row.sort:
        item["sort"] = _text(row.sort)
    if row.status:
        item["status"] = _text(_indexed(row.generation, row.status))
    if row.mends:
        item["mends"] = _number(row.mends)
    return item


def _from_item(item: Item) -> Row:
    generation, _, stream = item["pk"]["S"].partition("#")
    return Row(
        generation=generation,
        stream=stream,
        key=item["sk"]["S"],
        version=int(item["v"]["N"]),
        body=item["body"]["S"],
        owner=_bare(item, "owner") or "",
        sort=item["sort"]["S"] if "sort" in item else "",
        status=_bare(item, "status"),
        mends=int(item["mends"]["N"]) if "mends" in item else 0,
    )


def _keyed(condition: str, values: Mapping[str, Item]) -> Item:
    return _where("KeyConditionExpression", condition, values)


def _where(kind: str, condition: str, values: Mapping[str, Item]) -> Item:
    """An expression; every name is a placeholder, since ``status`` and many others are reserved."""
    names = {f"#{name}": name for name in _NAME.findall(condition)}
    request: Item = {kind: condition, "ExpressionAttributeNames": names}
    # DynamoDB refuses an empty map.
    return request | {"ExpressionAttributeValues": values} if values else request


def _key(generation: str, stream: str, key: str) -> Item:
    return {"pk": _text(_pk(generation, stream)), "sk": _text(key)}


def _pk(generation: str, stream: str) -> str:
    return f"{generation}#{stream}"


def _indexed(generation: str, value: str) -> str:
    return f"{generation}#{value}"


def _bare(item: Item, name: str) -> str | None:
    return item[name]["S"].partition("#")[2] if name in item else None


def _text(text: str) -> Item:
    return {"S": text}


def _number(number: int) -> Item:
    return {"N": str(number)}
