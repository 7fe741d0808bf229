"""The straight client says what boto3's says, asks as it asks, and leaves trouble to it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, NoCredentialsError

from infra.event_store.table import create_table, dynamodb_client
from infra.local.emulator import Emulator
from infra.straight import StraightClient

EVERYTHING: dict[str, Any] = {
    "text": {"S": 'é\U0001f3b5"\\\u0000'},
    "number": {"N": "-12.5"},
    "bytes": {"B": b"\x00\xff\xfe"},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "many": {"BS": [b"\x01", b"\x02"]},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "list": {"L": [{"S": "x"}, {"M": {"deep": {"B": b"\x80"}}}, {"L": []}]},
    "map": {"M": {}},
}
PLACE = {"stream_id": {"S": "job-1"}, "seq": {"N": "1"}}
FREE = {
    "ConditionExpression": "attribute_not_exists(#s)",
    "ExpressionAttributeNames": {"#s": "seq"},
}


@pytest.fixture
def plain(emulator: Emulator) -> Any:
    return dynamodb_client(emulator.access.environment())


@pytest.fixture
def straight(plain: Any) -> Any:
    return StraightClient(plain)


@pytest.fixture
def table(plain: Any) -> str:
    name = f"straight-{uuid4().hex}"
    create_table(plain, name, history=False)
    return name


class Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def listened(client: Any, *answers: Any) -> list[Any]:
    """Every request that is sent; the first ones meet those answers or exceptions."""
    sent: list[Any] = []

    def hear(request: Any, **_: Any) -> Any:
        sent.append(request)
        answer = answers[len(sent) - 1] if len(sent) <= len(answers) else None
        if isinstance(answer, Exception):
            raise answer
        return answer and AWSResponse(request.url, answer[0], {}, Raw(answer[1]))

    client.meta.events.register("before-send.dynamodb", hear)
    return sent


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    return ours == {name: part for name, part in theirs.items() if name != "ResponseMetadata"}


def test_what_was_put_by_one_is_read_by_the_other(plain: Any, straight: Any, table: str) -> None:
    item = PLACE | EVERYTHING
    for writer in (plain, straight):
        writer.put_item(TableName=table, Item=item)
        for reader in (plain, straight):
            found = reader.get_item(TableName=table, Key=PLACE, ConsistentRead=True)["Item"]
            assert found == item
    assert same(straight.scan(TableName=table), plain.scan(TableName=table))


def test_answers_are_boto3s(plain: Any, straight: Any, table: str) -> None:
    absent = {"stream_id": {"S": "nobody"}, "seq": {"N": "1"}}
    for number in range(3):
        straight.put_item(
            TableName=table, Item=PLACE | {"seq": {"N": str(number)}, "b": {"B": b"x"}}
        )
    asked: dict[str, dict[str, Any]] = {
        "get_item": {"TableName": table, "Key": absent},
        "query": {
            "TableName": table, "Limit": 2, "KeyConditionExpression": "#s = :s",
            "ExpressionAttributeNames": {"#s": "stream_id"},
            "ExpressionAttributeValues": {":s": {"S": "job-1"}},
        },
        "batch_get_item": {"RequestItems": {table: {"Keys": [PLACE, absent]}}},
        "batch_write_item": {"RequestItems": {table: [{"DeleteRequest": {"Key": absent}}]}},
        "delete_item": {"TableName": table, "Key": absent, "ReturnValues": "ALL_OLD"},
        "update_item": {
            "TableName": table, "Key": PLACE, "ReturnValues": "ALL_NEW",
            "UpdateExpression": "SET #c = :c", "ExpressionAttributeNames": {"#c": "c"},
            "ExpressionAttributeValues": {":c": {"B": b"\xff"}},
        },
        "transact_write_items": {
            "TransactItems": [{"Delete": {"TableName": table, "Key": absent}}]
        },
    }  # fmt: skip
    for name, request in asked.items():
        ours, theirs = getattr(straight, name)(**request), getattr(plain, name)(**request)
        assert same(ours, theirs), name


@pytest.mark.parametrize("together", [False, True])
def test_a_refusal_that_stands_is_boto3s_and_was_sent_once(
    plain: Any, straight: Any, table: str, together: bool
) -> None:
    put = {"TableName": table, "Item": PLACE | {"b": {"B": b"\xff"}}, **FREE}
    put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    told = []
    straight.put_item(**put)
    sent = listened(plain)
    for client in (straight, plain):
        call = client.transact_write_items if together else client.put_item
        with pytest.raises(ClientError) as caught:
            call(**({"TransactItems": [{"Put": put}]} if together else put))
        told.append(caught.value)
    assert len(sent) == 2
    ours, theirs = told
    assert type(ours) is type(theirs)
    assert ours.operation_name == theirs.operation_name
    assert ours.response["Error"] == theirs.response["Error"]
    part = "CancellationReasons" if together else "Item"
    assert ours.response[part] == theirs.response[part]


@pytest.mark.parametrize(
    "trouble",
    [
        (500, b'{"__type":"InternalServerError"}'),
        (503, b"<html>busy</html>"),
        (400, b'{"__type":"x#ProvisionedThroughputExceededException"}'),
        (400, b"no JSON"),
        (400, b""),
        (200, b'{"Items": '),
        (200, b'{"Item": {"a": {"B": "no base64"}}}'),
        ConnectionClosedError(endpoint_url="http://dynamodb"),
    ],
)
def test_what_is_no_answer_is_sent_again_by_botocore(
    plain: Any, straight: Any, table: str, trouble: Any
) -> None:
    sent = listened(plain, trouble)
    straight.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": PLACE}}])
    assert len(sent) == 2
    assert "ClientRequestToken" in str(sent[0].body)
    assert straight.get_item(TableName=table, Key=PLACE)["Item"] == PLACE


def test_a_transaction_that_took_effect_unheard_is_recognised(
    plain: Any, straight: Any, table: str
) -> None:
    lost: list[Any] = []

    def lose(request: Any, **_: Any) -> Any:
        if lost:
            return None
        lost.append(plain._endpoint.http_session.send(request))
        assert lost[0].status_code == 200
        return AWSResponse(request.url, 500, {}, Raw(b""))

    plain.meta.events.register("before-send.dynamodb.TransactWriteItems", lose)
    put = {"Put": {"TableName": table, "Item": PLACE, **FREE}}
    straight.transact_write_items(TransactItems=[put])
    assert lost


def test_trouble_that_lasts_is_raised_as_botocore_raises_it(straight: Any) -> None:
    with pytest.raises(straight.exceptions.ResourceNotFoundException):
        straight.get_item(TableName="absent", Key=PLACE)


def test_without_credentials_it_is_botocore_who_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    client = StraightClient(boto3.session.Session().client("dynamodb", "us-east-1"))
    with pytest.raises(NoCredentialsError):
        client.get_item(TableName="t", Key=PLACE)


@pytest.mark.parametrize("token", [None, "a+session/token=="])
def test_a_request_is_signed_as_botocore_signs_it(
    straight: Any, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
    straight._credentials = credentials
    body = b'{"TableName":"t"}'
    ours = straight._headers("Query", body)
    now = datetime.strptime(ours["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now)
    headers = {name: ours[name] for name in ("host", "x-amz-target")}
    request = AWSRequest("POST", straight._url, headers, body)
    SigV4Auth(credentials, "dynamodb", straight.meta.region_name).add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours.get("x-amz-security-token") == token


def test_all_else_is_the_clients(plain: Any, straight: Any, table: str) -> None:
    assert straight.meta is plain.meta
    assert straight.exceptions is plain.exceptions
    assert straight.describe_table(TableName=table)["Table"]["TableName"] == table
