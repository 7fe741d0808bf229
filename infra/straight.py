"""DynamoDB's calls on items, sent straight: botocore's own layers take a millisecond of CPU a call.

The first try of a call is made here: msgspec writes the JSON and reads the answer, and the request
goes over botocore's own connections, signed with its credentials. Whatever is not answered by a
result, or by a refusal that stands, is botocore's: it sends the same request again by all of its
rules for throttles, faults and timeouts, and raises what it always does.
"""

# Annotations are not postponed: msgspec would compile each of them anew at every start.

import hmac
import uuid
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, TypedDict
from urllib.parse import urlsplit

import msgspec
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError
from botocore.parsers import create_parser

from infra.exchange import Exchange, Unheard, pool_of

_OPERATIONS = {
    "batch_get_item": "BatchGetItem",
    "batch_write_item": "BatchWriteItem",
    "delete_item": "DeleteItem",
    "get_item": "GetItem",
    "put_item": "PutItem",
    "query": "Query",
    "scan": "Scan",
    "transact_write_items": "TransactWriteItems",
    "update_item": "UpdateItem",
}
_NAMES = {operation: name for name, operation in _OPERATIONS.items()}
_STANDING = {
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "TransactionConflictException",
}
"""What botocore does not send again either."""


class Value(TypedDict, total=False):
    """An attribute, whose bytes are base64 on the wire."""

    S: str
    N: str
    B: bytes
    SS: list[str]
    NS: list[str]
    BS: list[bytes]
    BOOL: bool
    NULL: bool
    L: list["Value"]
    M: dict[str, "Value"]


_Item = dict[str, Value]


class _Keys(TypedDict, total=False):
    Keys: list[_Item]
    ConsistentRead: bool
    ProjectionExpression: str
    ExpressionAttributeNames: dict[str, str]


class _Put(TypedDict):
    Item: _Item


class _Delete(TypedDict):
    Key: _Item


class _Write(TypedDict, total=False):
    PutRequest: _Put
    DeleteRequest: _Delete


class _Answer(TypedDict, total=False):
    """Of all these operations, as botocore names the parts."""

    Item: _Item
    Items: list[_Item]
    Attributes: _Item
    Count: int
    ScannedCount: int
    LastEvaluatedKey: _Item
    Responses: dict[str, list[_Item]]
    UnprocessedKeys: dict[str, _Keys]
    UnprocessedItems: dict[str, list[_Write]]


_encode = msgspec.json.Encoder().encode
_answers = msgspec.json.Decoder(_Answer)


class StraightClient:
    """A low-level boto3 DynamoDB client whose calls on items cost less; all else is the client's.

    Safe to share between threads.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        # botocore has no public way to a client's credentials.
        self._credentials = client._request_signer._credentials
        self._url: str = client.meta.endpoint_url
        self._host, path = urlsplit(self._url)[1:3]
        pool = pool_of(client)
        self._exchange = Exchange(pool)
        # What is unusual is botocore's from the first try on.
        self._usual = None not in (self._credentials, pool) and path in ("", "/")
        self._parser = create_parser("json")
        for name, operation in _OPERATIONS.items():
            setattr(self, name, partial(self._ask, name, operation))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> Any:
        """As pynamodb calls."""
        name = _NAMES.get(operation)
        if name is None:
            return self._client._make_api_call(operation, request)
        return self._ask(name, operation, **request)

    def _ask(self, name: str, operation: str, **request: Any) -> Any:
        if operation == "TransactWriteItems":
            # By this DynamoDB recognises a transaction that is sent again; botocore has one, too.
            request.setdefault("ClientRequestToken", str(uuid.uuid4()))
        answer = self._first_try(operation, request) if self._usual else None
        return getattr(self._client, name)(**request) if answer is None else answer

    def _first_try(self, operation: str, request: dict[str, Any]) -> Any:
        """The answer; None where it is botocore's to send the request again."""
        try:
            answer = self._sent(operation, _encode(request))
            if answer.status_code == 200:
                return _answers.decode(answer.content)
        except (BotoCoreError, Unheard, msgspec.MsgspecError):
            return None
        if answer.status_code != 400:
            return None
        parsed = self._refusal(operation, answer)
        code = parsed["Error"]["Code"]
        if code in _STANDING:
            raise self._client.exceptions.from_code(code)(parsed, operation)
        return None

    def _sent(self, operation: str, body: bytes) -> Any:
        headers = self._headers(operation, body)
        request = AWSPreparedRequest("POST", self._url, headers, body, stream_output=False)
        # Who listens to what botocore sends hears of these, too.
        heard = self._client.meta.events.emit(f"before-send.dynamodb.{operation}", request=request)
        for _, answer in heard:
            if answer is not None:
                return answer
        return self._exchange.post(headers, body)

    def _refusal(self, operation: str, answer: Any) -> dict[str, Any]:
        """The error as botocore reads it, with what the operation says in it."""
        read = {
            "status_code": answer.status_code,
            "headers": answer.headers,
            "body": answer.content,
            "context": {"operation_name": operation},
        }
        model = self._client.meta.service_model
        parsed: dict[str, Any] = self._parser.parse(read, None)
        shape = model.shape_for_error_code(parsed["Error"]["Code"])
        return parsed | self._parser.parse(read, shape) if shape else parsed

    def _headers(self, operation: str, body: bytes) -> dict[str, str]:
        """What DynamoDB wants, signed by AWS's version 4 (a test compares with botocore's)."""
        credentials = self._credentials.get_frozen_credentials()
        region = self._client.meta.region_name
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self._host, "x-amz-date": stamp}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        headers["x-amz-target"] = f"DynamoDB_20120810.{operation}"
        names = ";".join(headers)
        lines = "".join([f"{name}:{value}\n" for name, value in headers.items()])
        asked = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{region}/dynamodb/aws4_request"
        told = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(asked.encode()).hexdigest()}"
        signature = _mac(_signing_key(credentials.secret_key, stamp[:8], region), told).hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return headers | _PLAIN


_PLAIN = {"content-type": "application/x-amz-json-1.0", "user-agent": "splitsound"}


@lru_cache(8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "dynamodb", "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
