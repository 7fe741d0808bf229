"""The read-model rows, the same in memory, in moto and in the emulator.

Property tests run on the rows in memory, so these must behave as the ones in DynamoDB do.
moto serves here because one thread asks one question at a time; see FACTS for what it cannot.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto.server import ThreadedMotoServer

from domain.errors import Invalid, Unavailable
from infra.local.emulator import Emulator
from infra.local.provision import TEMPLATE
from infra.local.resources import table
from infra.local.stack import adopted
from infra.local.template import Template
from infra.memory_rows import MemoryRows
from infra.metering import item_size
from infra.rows import DynamoDBRows
from infra.straight import StraightClient
from projections.ports import HEAD, Row, Rows

GENERATION, OTHER = "jobs@1", "jobs@10"
REGION = "us-east-1"


def straight(endpoint: str) -> StraightClient:
    client = boto3.session.Session().client("dynamodb", endpoint_url=endpoint, region_name=REGION)
    return StraightClient(client)


def new_table(endpoint: str) -> DynamoDBRows:
    """The read-model table as template.yaml declares it, under a name of its own."""
    template = Template.load(TEMPLATE, {}, {})
    declared = next(d for d in template.in_order() if d.name == "ReadModelsTable")
    name = f"rows-{uuid.uuid4().hex[:8]}"
    properties = template.resolve(declared.properties, {}) | {"TableName": name}
    client = straight(endpoint)
    table(lambda _: client, properties)
    return DynamoDBRows(client, name)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "moto", "emulator"])
def rows(request: pytest.FixtureRequest) -> Iterator[Rows]:
    if request.param == "memory":
        yield MemoryRows()
    elif request.param == "moto":
        yield new_table(request.getfixturevalue("moto"))
    else:
        emulator: Emulator = request.getfixturevalue("emulator")
        with adopted(emulator.access.environment()):
            yield new_table(emulator.access.endpoint)


def head(number: int, version: int = 1, **changes: str | None) -> Row:
    row = Row(
        generation=GENERATION, stream=f"job-{number:02d}", key=HEAD, version=version,
        body=f'{{"number":{number}}}', owner="usr", sort=f"{number:03d}", status="queued",
    )  # fmt: skip
    return msgspec.structs.replace(row, **changes)


def line(number: int, version: int) -> Row:
    return Row(
        generation=GENERATION, stream=f"job-{number:02d}", key=f"line#{version:012d}",
        version=version, body="{}",
    )  # fmt: skip


def test_a_row_comes_back_as_it_was_put(rows: Rows) -> None:
    assert rows.head(GENERATION, "job-01") is None
    assert rows.write(head(1), [line(1, 1)], expected=0)
    assert rows.head(GENERATION, "job-01") == head(1)
    assert rows.lines(GENERATION, "job-01", 10).rows == [line(1, 1)]


def test_a_head_moves_only_from_where_it_was_seen(rows: Rows) -> None:
    assert rows.write(head(1), [], expected=0)
    assert not rows.write(head(1, version=2), [], expected=0)
    assert not rows.write(head(1, version=3), [], expected=2)
    assert rows.write(head(1, version=3), [], expected=1)
    assert rows.head(GENERATION, "job-01") == head(1, version=3)


def test_an_owners_heads_come_newest_first_page_by_page(rows: Rows) -> None:
    for number in range(7):
        rows.write(head(number), [line(number, 1)], expected=0)
    rows.write(head(8, owner="somebody else"), [], expected=0)
    rows.write(head(9, generation=OTHER), [], expected=0)
    seen, cursor = [], None
    for _ in range(9):
        page = rows.owned(GENERATION, "usr", 3, cursor)
        seen += [row.stream for row in page.rows]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"job-{n:02d}" for n in reversed(range(7))]


def test_heads_are_found_by_status_oldest_first_and_leave_when_they_lose_it(rows: Rows) -> None:
    for number in (2, 0, 1):
        rows.write(head(number), [], expected=0)
    rows.write(head(1, version=2, status=None), [], expected=1)
    assert [r.stream for r in rows.with_status(GENERATION, "queued")] == ["job-00", "job-02"]
    assert list(rows.with_status(OTHER, "queued")) == []


def test_dropping_a_generation_leaves_the_others(rows: Rows) -> None:
    """jobs@1 is a prefix of jobs@10, and must not take it along."""
    for number in range(3):
        rows.write(head(number), [line(number, 1)], expected=0)
    rows.write(head(3, generation=OTHER), [], expected=0)
    assert rows.drop(GENERATION) == 6
    assert rows.head(GENERATION, "job-00") is None
    assert rows.head(OTHER, "job-03") is not None


def test_more_lines_than_one_batch_takes(rows: Rows) -> None:
    lines = [line(1, version) for version in range(1, 61)]
    assert rows.write(head(1, version=60), lines, expected=0)
    page = rows.lines(GENERATION, "job-01", 100)
    assert page.rows == list(reversed(lines))


def test_a_table_that_is_not_there_is_unavailable(moto: str) -> None:
    rows = DynamoDBRows(straight(moto), "no-such-table")
    with pytest.raises(Unavailable):
        rows.head(GENERATION, "job-01")


def test_a_cursor_of_nobodys_is_refused(moto: str) -> None:
    for cursor in ("!", "bm90IGpzb24", "W10"):
        with pytest.raises(Invalid):
            new_table(moto).owned(GENERATION, "usr", 3, cursor)


@pytest.mark.parametrize(
    "row", [head(1), head(1, status=None), head(1, owner=""), head(1, owner="", sort="")]
)
def test_a_rows_size_is_that_of_its_item(moto: str, row: Row) -> None:
    rows = new_table(moto)
    assert rows.write(row, [], expected=0)
    [item] = straight(moto).scan(TableName=rows._table)["Items"]
    assert rows.size(row) == item_size(item)


class Forgetful:
    """A client that does but one member of each batch, as DynamoDB does when it is busy."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> Any:
        """As pynamodb calls."""
        if operation == "BatchWriteItem":
            return self._write(request["RequestItems"])
        if operation == "BatchGetItem":
            return self._read(request["RequestItems"])
        return self._client._make_api_call(operation, request)

    def _write(self, wanted: Any) -> Any:
        [(table, writes)] = wanted.items()
        self._client.batch_write_item(RequestItems={table: writes[:1]})
        return {"UnprocessedItems": {table: writes[1:]} if writes[1:] else {}}

    def _read(self, wanted: Any) -> Any:
        [(table, asked)] = wanted.items()
        now, left = asked["Keys"][:1], asked["Keys"][1:]
        answer = self._client.batch_get_item(RequestItems={table: {**asked, "Keys": now}})
        return answer | {"UnprocessedKeys": {table: {**asked, "Keys": left}} if left else {}}


def test_what_is_left_of_a_batch_is_done_later(moto: str) -> None:
    rows = new_table(moto)
    slow = DynamoDBRows(Forgetful(rows._client), rows._table)
    lines = [line(1, version) for version in range(1, 4)]
    assert slow.write(head(1, version=3), lines, expected=0)
    assert len(rows.lines(GENERATION, "job-01", 10).rows) == 3
    slow.delete(lines)
    assert rows.lines(GENERATION, "job-01", 10).rows == []
    for number in (2, 3):
        rows.write(head(number), [], expected=0)
    assert set(slow.heads(GENERATION, ["job-01", "job-02", "job-03", "job-04", "job-02"])) == {
        "job-01", "job-02", "job-03",
    }  # fmt: skip


def test_a_batch_that_is_never_done_is_unavailable(moto: str) -> None:
    class Idle(Forgetful):
        def _write(self, wanted: Any) -> Any:
            return {"UnprocessedItems": wanted}

    rows = new_table(moto)
    with pytest.raises(Unavailable):
        DynamoDBRows(Idle(rows._client), rows._table).write(head(1), [line(1, 1)], expected=0)
    assert rows.head(GENERATION, "job-01") is None


def test_a_page_goes_on_where_dynamodb_ended_one_early(rows: Rows) -> None:
    big = "x" * 300_000
    lines = [msgspec.structs.replace(line(1, n), body=f'"{big}"') for n in range(1, 8)]
    assert rows.write(head(1, version=7), lines, expected=0)
    page = rows.lines(GENERATION, "job-01", 6)
    assert [row.version for row in page.rows] == [7, 6, 5, 4, 3, 2]
    assert page.cursor is not None
