"""What only DynamoDB can do wrong: lost answers, conflicts of transactions, expressions."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.commit import Append, verify_chain
from domain.errors import Conflict, Unavailable
from infra.event_store.dynamodb import DynamoDBStore
from tests.infra.event_store.notebook import (
    NOTES,
    Noted,
    SetClock,
    new_meta,
    new_stream,
    write,
    write_together,
)


@pytest.fixture
def dynamodb(client: Any, table: str, clock: SetClock) -> DynamoDBStore:
    return DynamoDBStore(client, table, clock, pause=lambda _: None)


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def lose_first_answer(client: Any, operation: str) -> list[Any]:
    """The first request takes effect and is answered with a 500, so that botocore resends."""
    lost: list[Any] = []

    def handler(request: Any, **_: Any) -> AWSResponse | None:
        if lost:
            lost.append(None)
            return None
        lost.append(URLLib3Session().send(request))
        assert lost[0].status_code == 200
        return AWSResponse(request.url, 500, {}, _Raw(b'{"__type":"InternalServerError"}'))

    client.meta.events.register(f"before-send.dynamodb.{operation}", handler)
    return lost


@pytest.mark.parametrize(("operation", "count"), [("PutItem", 1), ("TransactWriteItems", 2)])
def test_a_request_that_botocore_resends_is_recognised(
    dynamodb: DynamoDBStore, client: Any, operation: str, count: int
) -> None:
    streams = [new_stream() for _ in range(count)]
    lost = lose_first_answer(client, operation)
    written = write_together(dynamodb, streams)
    assert len(lost) == 2
    assert [list(dynamodb.read(s)) for s in streams] == [[c] for c in written]


class Deaf:
    """A client whose next write takes effect and whose answer never comes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lose = True

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in ("put_item", "transact_write_items"):
            return method

        def call(**request: Any) -> Any:
            answer = method(**request)
            if self.lose:
                self.lose = False
                raise ReadTimeoutError(endpoint_url="http://dynamodb")
            return answer

        return call


@pytest.mark.parametrize("count", [1, 2])
def test_a_command_whose_answer_was_lost_succeeds_when_sent_again(
    client: Any, table: str, clock: SetClock, count: int
) -> None:
    store = DynamoDBStore(Deaf(client), table, clock)
    appends = [Append(store.load(NOTES, new_stream()), [Noted("x")]) for _ in range(count)]
    meta = new_meta()
    with pytest.raises(Unavailable, match="send the same command again"):
        store.append(appends, meta)
    clock.time += 1
    assert [c.last for c in store.append(appends, meta)] == [1] * count


class Busy:
    """A client whose first writes meet somebody else's transaction."""

    def __init__(self, client: Any, times: int) -> None:
        self._client = client
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, **request: Any) -> Any:
        if self._is_busy():
            raise self._client.exceptions.TransactionConflictException({}, "PutItem")
        return self._client.put_item(**request)

    def transact_write_items(self, **request: Any) -> Any:
        if self._is_busy():
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            raise self._client.exceptions.TransactionCanceledException(
                {"CancellationReasons": reasons}, "TransactWriteItems"
            )
        return self._client.transact_write_items(**request)

    def _is_busy(self) -> bool:
        self.times -= 1
        return self.times >= 0


@pytest.mark.parametrize("count", [1, 2])
def test_a_transaction_conflict_is_sent_again(
    client: Any, table: str, clock: SetClock, count: int
) -> None:
    waits: list[float] = []
    store = DynamoDBStore(Busy(client, 3), table, clock, pause=waits.append)
    streams = [new_stream() for _ in range(count)]
    write_together(store, streams)
    assert len(waits) == 3
    assert [store.load(NOTES, s).version for s in streams] == [1] * count


@pytest.mark.parametrize("count", [1, 2])
def test_endless_transaction_conflicts_end_as_unavailable(
    client: Any, table: str, clock: SetClock, count: int
) -> None:
    store = DynamoDBStore(Busy(client, 1000), table, clock, pause=lambda _: None)
    with pytest.raises(Unavailable, match="busy"):
        write_together(store, [new_stream() for _ in range(count)])


def test_an_absent_table_is_unavailable_with_awss_words(client: Any, clock: SetClock) -> None:
    store = DynamoDBStore(client, "absent", clock)
    with pytest.raises(Unavailable, match="ResourceNotFound"):
        store.load(NOTES, new_stream())


def test_every_name_in_an_expression_is_a_placeholder(dynamodb: DynamoDBStore, client: Any) -> None:
    # `stream`, `hash`, `types` and many short words are reserved.
    said: list[str] = []

    def note(request: Any, **_: Any) -> None:
        params = msgspec.json.decode(request.body)
        said.extend(str(v) for k, v in params.items() if k.endswith("Expression"))
        transacted = params.get("TransactItems", [])
        said.extend(member["Put"]["ConditionExpression"] for member in transacted)

    client.meta.events.register("before-send.dynamodb", note)
    stream = new_stream()
    write(dynamodb, stream, "a")
    write_together(dynamodb, [stream, new_stream()])
    list(dynamodb.read(stream, after=1))
    list(dynamodb.scan())
    assert len(said) >= 5
    for expression in said:
        words = set(re.findall(r"(?<![#:\w])[a-z_]\w*", expression))
        assert words <= {"attribute_not_exists"}, expression


@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    writers=st.integers(2, 4),
    tries=st.integers(3, 8),
    together=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_concurrent_writers_never_both_win_and_never_lose_a_write(
    dynamodb: DynamoDBStore, writers: int, tries: int, together: list[bool]
) -> None:
    streams = [new_stream(), new_stream()]

    def work(writer: int) -> list[tuple[str, int, str]]:
        won = []
        for number in range(tries):
            text = f"{writer}/{number}"
            chosen = streams if together[number] else streams[writer % 2 :][:1]
            try:
                won += [(c.stream, c.first, text) for c in write_together(dynamodb, chosen, text)]
            except Conflict:
                continue
        return won

    with ThreadPoolExecutor(writers) as pool:
        won = [place for places in pool.map(work, range(writers)) for place in places]
    stored = [
        (c.stream, c.first, NOTES.decode(str(c.events))[0].text)  # type: ignore[attr-defined]
        for s in streams
        for c in dynamodb.read(s)
    ]
    assert sorted(won) == sorted(stored)
    for stream in streams:
        verify_chain(dynamodb.read(stream))
