"""Items of the operational table: a key of two parts and a body of JSON."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from domain.errors import Unavailable
from infra.faults import unavailable

T = TypeVar("T")
_BATCH = 100
_TRIES = 6


class Put(Struct, frozen=True):
    """Write an item. expires: epoch seconds; revision: as of ``replace``; None writes anyway."""

    pk: str
    sk: str
    value: Any
    expires: int | None = None
    revision: int | None = None


class Delete(Struct, frozen=True):
    """Delete an item, if there is one."""

    pk: str
    sk: str


class OperationalTable:
    """client: a low-level boto3 DynamoDB client (thread-safe). Raises Unavailable throughout."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str, kind: type[T]) -> T | None:
        """One item, consistently read."""
        answer = self._call("get_item", Key=_key(pk, sk), ConsistentRead=True)
        item = answer.get("Item")
        return msgspec.json.decode(item["body"]["S"], type=kind) if item else None

    def get_many(self, keys: Sequence[tuple[str, str]], kind: type[T]) -> dict[tuple[str, str], T]:
        """Those of the items that are there, by (pk, sk), consistently read; keys without repeats.

        A request takes a hundred keys; what DynamoDB leaves out of an answer is asked for again.
        """
        found: dict[tuple[str, str], T] = {}
        left = [_key(pk, sk) for pk, sk in keys]
        while left:
            now, left = left[:_BATCH], left[_BATCH:]
            wanted = {self._table: {"Keys": now, "ConsistentRead": True}}
            answer = self._send("batch_get_item", {"RequestItems": wanted})
            for item in answer["Responses"].get(self._table, ()):
                place = item["pk"]["S"], item["sk"]["S"]
                found[place] = msgspec.json.decode(item["body"]["S"], type=kind)
            left += answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", ())
        return found

    def query(self, pk: str, kind: type[T], begins: str = "") -> Iterator[tuple[str, T]]:
        """The items of a partition in the order of ``sk``, each with it."""
        condition = "#pk = :pk" + (" AND begins_with(#sk, :begins)" if begins else "")
        request: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {"#pk": "pk"} | ({"#sk": "sk"} if begins else {}),
            "ExpressionAttributeValues": {":pk": {"S": pk}}
            | ({":begins": {"S": begins}} if begins else {}),
            "ConsistentRead": True,
        }
        for item in self._listed(request):
            yield item["sk"]["S"], msgspec.json.decode(item["body"]["S"], type=kind)

    def keys(self, pk: str) -> Iterator[str]:
        """Every ``sk`` of a partition, whatever its items say."""
        request = {
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
        }
        for item in self._listed(request):
            yield item["sk"]["S"]

    def _listed(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._call("query", **request)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def between(
        self,
        pk: str,
        kind: type[T],
        low: str,
        high: str,
        limit: int,
        *,
        after: str = "",
        newest_first: bool = False,
    ) -> list[tuple[str, T]]:
        """At most ``limit`` items of a partition with ``sk`` from ``low`` to ``high``, in order.

        after: go on behind that ``sk``. newest_first: the other way round.
        """
        request: dict[str, Any] = {
            "KeyConditionExpression": "#pk = :pk AND #sk BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
            "ExpressionAttributeValues": {
                ":pk": {"S": pk}, ":low": {"S": low}, ":high": {"S": high},
            },
            "ScanIndexForward": not newest_first,
            "Limit": limit,
            "ConsistentRead": True,
        }  # fmt: skip
        found: list[tuple[str, T]] = []
        start = _key(pk, after) if after else None
        while True:
            answer = self._call(
                "query", **request, **({"ExclusiveStartKey": start} if start else {})
            )
            found += [
                (item["sk"]["S"], msgspec.json.decode(item["body"]["S"], type=kind))
                for item in answer["Items"]
            ]
            start = answer.get("LastEvaluatedKey")
            if start is None or len(found) >= limit:
                return found[:limit]

    def together(self, *writes: Put | Delete) -> bool:
        """All of the writes or none. False when an item's revision has moved on."""
        request = {"TransactItems": [self._part(w) for w in writes]}
        for attempt in range(_TRIES):
            try:
                self._send("transact_write_items", request)
            except _Moved:
                return False
            except Unavailable as error:
                if attempt == _TRIES - 1 or not _met_another(error.__cause__):
                    raise
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter
            else:
                return True
        raise AssertionError("unreachable")

    def _part(self, write: Put | Delete) -> dict[str, Any]:
        if isinstance(write, Delete):
            return {"Delete": {"TableName": self._table, "Key": _key(write.pk, write.sk)}}
        item = _item(write.pk, write.sk, write.value, write.expires)
        if write.revision is None:
            return {"Put": {"TableName": self._table, "Item": item}}
        return {"Put": {"TableName": self._table, **_counted(item, write.revision)}}

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item, whatever it says; harmless without one."""
        self._call("delete_item", Key=_key(pk, sk))

    def delete_all(self, pk: str) -> None:
        """Delete a partition, item by item; again is harmless."""
        for sk in list(self.keys(pk)):
            self.delete(pk, sk)

    def put(self, pk: str, sk: str, value: object, expires: int | None = None) -> None:
        """Write an item, whatever stood there. expires: epoch seconds."""
        self._call("put_item", Item=_item(pk, sk, value, expires))

    def put_new(
        self, pk: str, sk: str, value: T, expires: int | None = None
    ) -> tuple[T, int] | None:
        """Write an item at revision 1 where there is none; else what stands there, and its
        revision. One request, with or without one.
        """
        request = _counted(_item(pk, sk, value, expires), 0)
        request["ConditionExpression"] = "attribute_not_exists(#revision)"
        del request["ExpressionAttributeValues"]
        try:
            self._call("put_item", ReturnValuesOnConditionCheckFailure="ALL_OLD", **request)
        except _Moved as moved:
            item = getattr(moved.__cause__, "response", {}).get("Item")
            if item is None:
                raise Unavailable("The operational table does not say what it holds.") from moved
            standing = msgspec.json.decode(item["body"]["S"], type=type(value))
            return standing, int(item["revision"]["N"])
        return None

    def replace(
        self, pk: str, sk: str, value: object, revision: int, expires: int | None = None
    ) -> bool:
        """Write an item whose revision is still that one (0: or that is absent), counting it up.

        False when it has moved on.
        """
        item = _item(pk, sk, value, expires)
        return self._conditional("put_item", **_counted(item, revision))

    def add(self, pk: str, sk: str, count: int, expires: int) -> int:
        """Count up, from 0 where there is no item; the sum. No other method reads such an item."""
        answer = self._call(
            "update_item",
            Key=_key(pk, sk),
            UpdateExpression="ADD #count :count SET #expires = :expires",
            ExpressionAttributeNames={"#count": "count", "#expires": "expires"},
            ExpressionAttributeValues={
                ":count": {"N": str(count)}, ":expires": {"N": str(expires)},
            },
            ReturnValues="UPDATED_NEW",
        )  # fmt: skip
        return int(answer["Attributes"]["count"]["N"])

    def overwrite(self, pk: str, sk: str, value: object) -> bool:
        """Write an item only where there is one. False without."""
        return self._conditional(
            "put_item",
            Item=_item(pk, sk, value, None),
            ConditionExpression="attribute_exists(#pk)",
            ExpressionAttributeNames={"#pk": "pk"},
        )

    def delete_if(self, pk: str, sk: str, value: object) -> bool:
        """Delete an item while it still says that. False when it says something else by now."""
        return self._conditional(
            "delete_item",
            Key=_key(pk, sk),
            ConditionExpression="#body = :body OR attribute_not_exists(#body)",
            ExpressionAttributeNames={"#body": "body"},
            ExpressionAttributeValues={":body": {"S": msgspec.json.encode(value).decode()}},
        )

    def _conditional(self, operation: str, **request: Any) -> bool:
        try:
            self._call(operation, **request)
        except _Moved:
            return False
        return True

    def _call(self, operation: str, **request: Any) -> Any:
        return self._send(operation, {"TableName": self._table, **request})

    def _send(self, operation: str, request: dict[str, Any]) -> Any:
        try:
            return getattr(self._client, operation)(**request)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            raise _Moved from error
        except (ClientError, BotoCoreError) as error:
            if _is_moved(error):
                raise _Moved from error
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return unavailable("The operational table", error, f"table/{self._table}")


def _is_moved(error: Exception) -> bool:
    """Whether a transaction failed by its conditions, and not for others' transactions."""
    reasons = getattr(error, "response", {}).get("CancellationReasons", ())
    return any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)


def _met_another(error: object) -> bool:
    """Whether a transaction gave way to another one on the same item: then send it again."""
    reasons = getattr(error, "response", {}).get("CancellationReasons", ())
    return any(reason.get("Code") == "TransactionConflict" for reason in reasons)


class _Moved(Exception):
    """A condition did not hold."""


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _item(pk: str, sk: str, value: object, expires: int | None) -> dict[str, Any]:
    item = {**_key(pk, sk), "body": {"S": msgspec.json.encode(value).decode()}}
    if expires is not None:
        item["expires"] = {"N": str(expires)}
    return item


def _counted(item: dict[str, Any], revision: int) -> dict[str, Any]:
    """A put of the item while its revision is that one."""
    condition = "#revision = :revision" + (
        " OR attribute_not_exists(#revision)" if revision == 0 else ""
    )
    return {
        "Item": item | {"revision": {"N": str(revision + 1)}},
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#revision": "revision"},
        "ExpressionAttributeValues": {":revision": {"N": str(revision)}},
    }
