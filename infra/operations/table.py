"""Items of the operational table: a key of two parts and a body of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from infra.faults import unavailable

T = TypeVar("T")


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
        while True:
            answer = self._call("query", **request)
            for item in answer["Items"]:
                yield item["sk"]["S"], msgspec.json.decode(item["body"]["S"], type=kind)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, pk: str, sk: str, value: object, expires: int | None = None) -> None:
        """Write an item, whatever stood there. expires: epoch seconds."""
        self._call("put_item", Item=_item(pk, sk, value, expires))

    def replace(self, pk: str, sk: str, value: object, revision: int) -> bool:
        """Write an item whose revision is still that one (0: or that is absent), counting it up.

        False when it has moved on.
        """
        item = _item(pk, sk, value, None) | {"revision": {"N": str(revision + 1)}}
        condition = "#revision = :revision" + (
            " OR attribute_not_exists(#revision)" if revision == 0 else ""
        )
        return self._conditional(
            "put_item",
            Item=item,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#revision": "revision"},
            ExpressionAttributeValues={":revision": {"N": str(revision)}},
        )

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
        try:
            return getattr(self._client, operation)(TableName=self._table, **request)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            raise _Moved from error
        except (ClientError, BotoCoreError) as error:
            raise unavailable("The operational table", error, f"table/{self._table}") from error


class _Moved(Exception):
    """A condition did not hold."""


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _item(pk: str, sk: str, value: object, expires: int | None) -> dict[str, Any]:
    item = {**_key(pk, sk), "body": {"S": msgspec.json.encode(value).decode()}}
    if expires is not None:
        item["expires"] = {"N": str(expires)}
    return item
