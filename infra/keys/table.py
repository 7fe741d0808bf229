"""Secrets in a DynamoDB table of their own, which is in no backup and no export.

An item is ``name`` (pk), ``secret`` and ``revision``. Reads are consistent and writes conditional,
so all processes of a deployment agree on which secret was made first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import Conflict
from infra.faults import unavailable
from infra.keys.sealing import Sealing

_TRIES = 10


class KeyTable:
    """Implements KeyStore. sealing: None for secrets that come encrypted."""

    def __init__(self, client: Any, table: str, sealing: Sealing | None) -> None:
        self._client = client
        self._table = table
        self._sealing = sealing

    def get(self, name: str) -> bytes | None:
        """The secret, or None when there is none of that name."""
        return self._find(name)[0]

    def get_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret; the first caller among all processes makes it."""
        found = self.get(name)
        if found is not None:
            return found
        return self.change(name, lambda there: make() if there is None else there)

    def change(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of the secret in its place. Raises Conflict after ten tries."""
        for _ in range(_TRIES):
            found, revision = self._find(name)
            secret = change(found)
            if secret == found or self._put(name, secret, revision):
                return secret
        raise Conflict(f"Others kept changing the secret {name}; try again.")

    def destroy(self, name: str) -> None:
        """Forget a secret for good."""
        self._call("delete_item", Key={"name": {"S": name}})

    def _find(self, name: str) -> tuple[bytes | None, int]:
        """The secret and its revision; 0 for what is not there."""
        answer = self._call("get_item", Key={"name": {"S": name}}, ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return None, 0
        sealed: bytes = item["secret"]["B"]
        secret = self._sealing.open(name, sealed) if self._sealing else sealed
        return secret, int(item["revision"]["N"])

    def _put(self, name: str, secret: bytes, revision: int) -> bool:
        """False when another process was first."""
        sealed = self._sealing.seal(name, secret) if self._sealing else secret
        condition = "#revision = :revision" if revision else "attribute_not_exists(#revision)"
        values = {"ExpressionAttributeValues": {":revision": {"N": str(revision)}}}
        try:
            self._call(
                "put_item",
                Item={
                    "name": {"S": name},
                    "secret": {"B": sealed},
                    "revision": {"N": str(revision + 1)},
                },
                ConditionExpression=condition,
                ExpressionAttributeNames={"#revision": "revision"},
                **(values if revision else {}),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return getattr(self._client, operation)(TableName=self._table, **request)
        except self._client.exceptions.ConditionalCheckFailedException:
            raise
        except (ClientError, BotoCoreError) as error:
            raise unavailable("The table of keys", error, f"table/{self._table}") from error
