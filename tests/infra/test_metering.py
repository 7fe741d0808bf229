"""The meter against examples worked out by hand from AWS's rules."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from infra.local.emulator import Emulator
from infra.metering import Meter, Units, item_size

KB = 1024


@pytest.fixture
def table(emulator: Emulator) -> str:
    name = f"metered-{uuid4().hex}"
    emulator.access.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "s", "KeyType": "RANGE"},
        ],
    )
    return name


@pytest.fixture
def meter(emulator: Emulator) -> Meter:
    return Meter(emulator.access.client("dynamodb"))


def item(sort: int, size: int, name: str = "x") -> dict[str, Any]:
    """An item of exactly ``size`` bytes: 1+1 for p, 1+2 for s, and the padding."""
    return {"p": {"S": "a"}, "s": {"N": str(sort)}, name: {"S": "y" * (size - 5 - len(name))}}


def key(sort: int) -> dict[str, Any]:
    return {"p": {"S": "a"}, "s": {"N": str(sort)}}


def test_sizes_follow_the_published_rules() -> None:
    assert item_size(item(1, 1000)) == 1000
    assert item_size({"é": {"S": "🎵"}}) == 2 + 4
    assert item_size({"b": {"B": b"123"}, "n": {"NULL": True}}) == 1 + 3 + 1 + 1
    assert item_size({"n": {"N": "1234"}, "m": {"N": "-1200"}}) == 1 + 3 + 1 + 3
    assert item_size({"t": {"SS": ["ab", "c"]}}) == 1 + 3
    assert item_size({"l": {"L": [{"S": "ab"}, {"BOOL": True}]}}) == 1 + 3 + 3 + 2
    assert item_size({"m": {"M": {"k": {"S": "v"}}}}) == 1 + 3 + 1 + 1 + 1


def test_writes_count_started_kilobytes_and_failures(meter: Meter, table: str) -> None:
    free = {"TableName": table, "ConditionExpression": "attribute_not_exists(p)"}
    meter.put_item(Item=item(1, KB), **free)
    assert meter.totals() == Units(writes=1)
    meter.put_item(Item=item(2, KB + 1), **free)
    assert meter.totals() == Units(writes=3)
    with pytest.raises(meter.exceptions.ConditionalCheckFailedException):
        meter.put_item(Item=item(2, 10), **free)  # billed by what stands there
    assert meter.totals() == Units(writes=5)
    meter.put_item(TableName=table, Item=item(2, 10))  # so is replacing it
    meter.delete_item(TableName=table, Key=key(1))
    assert meter.totals() == Units(writes=8)
    meter.update_item(
        TableName=table,
        Key=key(3),
        UpdateExpression="SET x = :x",
        ExpressionAttributeValues={":x": {"S": "y" * 3 * KB}},
    )
    assert meter.totals() == Units(writes=12)
    assert meter.by_operation["put_item"] == Units(writes=7)
    assert meter.calls["put_item"] == 4
    meter.reset()
    assert meter.totals() == Units()


def test_transactions_cost_twice_even_when_cancelled(meter: Meter, table: str) -> None:
    puts = [{"Put": {"TableName": table, "Item": item(n, 1500)}} for n in (1, 2)]
    meter.transact_write_items(TransactItems=puts)
    assert meter.totals() == Units(writes=8)
    free = {"ConditionExpression": "attribute_not_exists(p)"}
    refused = [{"Put": {**p["Put"], **free}} for p in puts]
    with pytest.raises(ClientError):
        meter.transact_write_items(TransactItems=refused)
    assert meter.totals() == Units(writes=16)
    gets = [{"Get": {"TableName": table, "Key": key(n)}} for n in (1, 9)]
    meter.transact_get_items(TransactItems=gets)
    assert meter.totals() == Units(reads=4, writes=16)


def test_reads_count_started_four_kilobytes_of_the_sum(meter: Meter, table: str) -> None:
    for number in range(3):
        meter.put_item(TableName=table, Item=item(number, 3 * KB))
    meter.reset()
    query = {
        "TableName": table,
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    }
    meter.query(**query, ConsistentRead=True)  # 9 KB
    assert meter.totals() == Units(reads=3)
    meter.query(**query)
    assert meter.totals() == Units(reads=4.5)
    meter.scan(TableName=table, Limit=1)
    assert meter.totals() == Units(reads=5)
    meter.get_item(TableName=table, Key=key(1), ConsistentRead=True)
    assert meter.totals() == Units(reads=6)
    keys = {table: {"Keys": [key(n) for n in (0, 1, 7)], "ConsistentRead": True}}
    meter.batch_get_item(RequestItems=keys)  # each by itself, the absent one too
    assert meter.totals() == Units(reads=9)
    assert meter.by_table[table] == Units(reads=9)


def test_finding_nothing_costs_the_minimum(meter: Meter, table: str) -> None:
    meter.get_item(TableName=table, Key=key(1))
    assert meter.totals() == Units(reads=0.5)
    values = {":p": {"S": "absent"}}
    meter.query(
        TableName=table,
        KeyConditionExpression="p = :p",
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )
    assert meter.totals() == Units(reads=1.5)


def test_snapshots_may_be_left_aside_and_indexes_counted(emulator: Emulator, table: str) -> None:
    meter = Meter(emulator.access.client("dynamodb"), snapshots=False, indexes={table: 2})
    meter.put_item(TableName=table, Item=item(1, 5 * KB, name="snap"))
    assert meter.totals() == Units(writes=3)
    meter.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item(2, 2 * KB)}}]})
    assert meter.totals() == Units(writes=9)


def test_what_hides_the_items_is_refused(meter: Meter, table: str) -> None:
    with pytest.raises(ValueError, match="hides what is billed"):
        meter.scan(TableName=table, Select="COUNT")
