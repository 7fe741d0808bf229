"""What a DynamoDB client's calls cost in read and write units, computed from item sizes.

Emulators report capacity wrongly, so AWS's published rules are applied here: a write costs
1 unit per started KB of the larger of the item before and after, doubled in a transaction,
and is billed when its condition fails; a read costs 1 unit per started 4 KB, half when
eventually consistent, doubled in a transaction. A query or scan rounds the sum of its items up,
a get each item; what finds nothing costs the minimum.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

Item = Mapping[str, Mapping[str, Any]]
Request = Mapping[str, Any]

_WRITE_BYTES = 1024
_READ_BYTES = 4096
# With one of these the answer does not show the items that were read and are billed.
_HIDING = ("ProjectionExpression", "AttributesToGet", "FilterExpression", "Select")


# Prices of on-demand capacity in us-east-1, dollars per unit (AWS's price list).
WRITE_PRICE, READ_PRICE = 0.625e-6, 0.125e-6


class Units(Struct):
    """Capacity units; half ones come from eventually consistent reads."""

    reads: float = 0
    writes: float = 0

    @property
    def dollars(self) -> float:
        """What they cost on demand."""
        return self.reads * READ_PRICE + self.writes * WRITE_PRICE


class Meter:
    """A low-level boto3 DynamoDB client that counts; every other attribute is the client's.

    snapshots: count the ``snap`` attribute of commits, else leave it out of every size.
    indexes: tables whose every write also lands in that many global indexes. spent: hears of
    read and write units as they are spent.
    """

    def __init__(
        self,
        client: Any,
        *,
        snapshots: bool = True,
        indexes: Mapping[str, int] | None = None,
        spent: Callable[[float, float], object] = lambda _reads, _writes: None,
    ) -> None:
        self._client = client
        self._spent = spent
        self._ignored = frozenset() if snapshots else frozenset({"snap"})
        self._indexes = dict(indexes or {})
        self._keys: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self.reset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def reset(self) -> None:
        """Begin at zero."""
        self.by_operation: dict[str, Units] = defaultdict(Units)
        self.by_table: dict[str, Units] = defaultdict(Units)
        self.calls: dict[str, int] = defaultdict(int)

    def totals(self) -> Units:
        """The sum over all tables."""
        spent = list(self.by_table.values())
        return Units(sum(u.reads for u in spent), sum(u.writes for u in spent))

    # --- reads --------------------------------------------------------------------------

    def get_item(self, **request: Any) -> Any:
        """See boto3."""
        _require_visible(request)
        answer = self._client.get_item(**request)
        self._read("get_item", request, [self._size(answer.get("Item"))])
        return answer

    def batch_get_item(self, **request: Any) -> Any:
        """See boto3. Each item is rounded up by itself."""
        answer = self._client.batch_get_item(**request)
        for table, asked in request["RequestItems"].items():
            _require_visible(asked)
            found = [self._size(item) for item in answer["Responses"].get(table, [])]
            left = len(answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", []))
            absent = [0] * (len(asked["Keys"]) - left - len(found))
            self._read("batch_get_item", {"TableName": table, **asked}, found + absent)
        return answer

    def query(self, **request: Any) -> Any:
        """See boto3."""
        return self._paged("query", self._client.query, request)

    def scan(self, **request: Any) -> Any:
        """See boto3."""
        return self._paged("scan", self._client.scan, request)

    def transact_get_items(self, **request: Any) -> Any:
        """See boto3."""
        answer = self._client.transact_get_items(**request)
        for asked, found in zip(request["TransactItems"], answer["Responses"], strict=True):
            _require_visible(asked["Get"])
            units = 2 * started(self._size(found.get("Item")), _READ_BYTES)
            self._spend("transact_get_items", asked["Get"]["TableName"], reads=units)
        self.calls["transact_get_items"] += 1
        return answer

    def _paged(self, name: str, call: Callable[..., Any], request: Request) -> Any:
        _require_visible(request)
        answer = call(**request)
        self._read(name, request, [sum(map(self._size, answer["Items"]))])
        return answer

    def _read(self, name: str, request: Request, sizes: Iterable[int]) -> None:
        units: float = sum(started(size, _READ_BYTES) for size in sizes)
        if not request.get("ConsistentRead"):
            units /= 2
        self.calls[name] += 1
        self._spend(name, request["TableName"], reads=units)

    # --- writes -------------------------------------------------------------------------

    def put_item(self, **request: Any) -> Any:
        """See boto3."""
        return self._write("put_item", self._client.put_item, request)

    def update_item(self, **request: Any) -> Any:
        """See boto3. Looks at the item before and after, which is not counted."""
        return self._write("update_item", self._client.update_item, request)

    def delete_item(self, **request: Any) -> Any:
        """See boto3. Looks at the item before, which is not counted."""
        return self._write("delete_item", self._client.delete_item, request)

    def batch_write_item(self, **request: Any) -> Any:
        """See boto3. Unprocessed items are counted too, as an upper bound."""
        writes = [
            {"TableName": table, "Item": w["PutRequest"]["Item"]}
            if "PutRequest" in w
            else {"TableName": table, "Key": w["DeleteRequest"]["Key"]}
            for table, wanted in request["RequestItems"].items()
            for w in wanted
        ]
        return self._measured("batch_write_item", self._client.batch_write_item, request, writes, 1)

    def transact_write_items(self, **request: Any) -> Any:
        """See boto3. Every member costs twice, a condition check too."""
        writes = [write for member in request["TransactItems"] for write in member.values()]
        call = self._client.transact_write_items
        return self._measured("transact_write_items", call, request, writes, 2)

    def _write(self, name: str, call: Callable[..., Any], request: Request) -> Any:
        return self._measured(name, call, request, [request], 1)

    def _measured(
        self, name: str, call: Callable[..., Any], request: Request, writes: list[Any], factor: int
    ) -> Any:
        before = [self._size(self._peek(write)) for write in writes]
        try:
            return call(**request)
        finally:
            # Failed conditions are billed like writes that took effect.
            self.calls[name] += 1
            for write, old in zip(writes, before, strict=True):
                new = write.get("Item")
                if new is None and "UpdateExpression" in write:
                    new = self._peek(write)
                table = write["TableName"]
                units = factor * started(max(old, self._size(new)), _WRITE_BYTES)
                self._spend(name, table, writes=units * (1 + self._indexes.get(table, 0)))

    def _peek(self, write: Request) -> Item | None:
        table = write["TableName"]
        if table not in self._keys:
            schema = self._client.describe_table(TableName=table)["Table"]["KeySchema"]
            self._keys[table] = [key["AttributeName"] for key in schema]
        named = write.get("Key") or write["Item"]
        key = {name: named[name] for name in self._keys[table]}
        found: Item | None = self._client.get_item(
            TableName=table, Key=key, ConsistentRead=True
        ).get("Item")
        return found

    # --- sums ---------------------------------------------------------------------------

    def _spend(self, name: str, table: str, *, reads: float = 0, writes: float = 0) -> None:
        with self._lock:
            for units in (self.by_operation[name], self.by_table[table]):
                units.reads += reads
                units.writes += writes
        self._spent(reads, writes)

    def _size(self, item: Item | None) -> int:
        return item_size({k: v for k, v in (item or {}).items() if k not in self._ignored})


def item_size(item: Item) -> int:
    """Bytes of an item as DynamoDB counts them: names and values, in UTF-8."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return _number_size(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "BS" | "NS":
            return sum(_value_size({kind[0]: member}) for member in content)
        case "L":
            return 3 + sum(1 + _value_size(member) for member in content)
        case "M":
            return 3 + sum(1 + len(k.encode()) + _value_size(v) for k, v in content.items())
    raise ValueError(f"No DynamoDB type {kind!r}.")


def _number_size(text: str) -> int:
    # About a byte per two significant digits and one more; a sign takes another.
    digits = text.lstrip("-").replace(".", "").strip("0") or "0"
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def started(size: int, unit: int) -> int:
    """How many units of that many bytes were begun; at least one."""
    return max(1, -(-size // unit))


def _require_visible(request: Request) -> None:
    hidden = [option for option in _HIDING if option in request]
    if hidden:
        raise ValueError(f"Cannot meter a read with {hidden[0]}: it hides what is billed.")
