"""The local consumer keeps Lambda's contract for SQS batches, on the emulator's own queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from structlog.testing import capture_logs

from handlers.polling import consume
from infra.bootstrap import Application
from infra.queue import Queue

Answer = dict[str, Any]


def run(queue: Queue, refuse: Callable[[str], bool], most: int) -> list[str]:
    """Consume until ``most`` deliveries were handled; the bodies in the order they came."""
    seen: list[str] = []
    stop = threading.Event()

    def handler(event: dict[str, Any]) -> Answer:
        records = event["Records"]
        seen.extend(r["body"] for r in records)
        if len(seen) >= most:
            stop.set()
        failed = [r["messageId"] for r in records if refuse(r["body"])]
        return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}

    consume(queue, handler, stop, 1, structlog.get_logger())
    return seen


def test_handled_messages_are_deleted_and_failed_ones_stay(application: Application) -> None:
    queue = application.queue("projections")
    for n in range(23):
        queue.send(str(n))
    seen = run(queue, refuse=lambda body: body in ("3", "20"), most=23)
    assert sorted(seen, key=int) == [str(n) for n in range(23)]
    assert queue.depth() == 2


def test_a_batch_is_deleted_in_one_call(application: Application) -> None:
    queue, calls = counted(application)
    for n in range(10):
        queue.send(str(n))
    run(queue, refuse=lambda _: False, most=10)
    assert calls.count("DeleteMessageBatch") == calls.count("ReceiveMessage")
    assert "DeleteMessage" not in calls
    assert queue.depth() == 0


def test_nothing_is_asked_to_be_deleted_when_all_failed(application: Application) -> None:
    queue, calls = counted(application)
    queue.send("bad")
    run(queue, refuse=lambda _: True, most=1)
    assert "DeleteMessageBatch" not in calls
    assert queue.depth() == 1


def test_what_the_queue_keeps_is_said_and_the_rest_is_deleted(application: Application) -> None:
    queue = application.queue("projections")
    for n in range(3):
        queue.send(str(n))
    messages: list[Any] = []
    while len(messages) < 3:
        messages += queue.receive(most=10, wait=1)
    stale = msgspec.structs.replace(messages[1], receipt="of an earlier delivery")
    assert queue.delete_all([messages[0], stale, messages[2]]) == [stale]
    assert queue.depth() == 1


def test_more_than_one_calls_worth_is_deleted(application: Application) -> None:
    queue = application.queue("projections")
    messages: list[Any] = []
    for n in range(12):
        queue.send(str(n))
    while len(messages) < 12:
        messages += queue.receive(most=10, wait=1)
    assert queue.delete_all(messages) == []
    assert queue.depth() == 0


def test_a_message_that_could_not_be_deleted_is_logged(application: Application) -> None:
    queue = Queue(_Forgetful(application.client("sqs")), application.queue("projections").url)
    queue.send("x")
    with capture_logs() as logs:
        run(queue, refuse=lambda _: False, most=1)
    assert [(entry["event"], entry["count"]) for entry in logs] == [
        ("handled messages will come again", 1)
    ]
    assert queue.depth() == 1


def counted(application: Application) -> tuple[Queue, list[str]]:
    """A queue, and the operations that are called on it."""
    client = application.client("sqs")
    calls: list[str] = []
    client.meta.events.register("before-call.sqs", lambda model, **_: calls.append(model.name))
    return Queue(client, application.queue("projections").url), calls


class _Forgetful:
    """The real client; every receipt that it hands out has been superseded."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def receive_message(self, **request: Any) -> Any:
        answer = self._client.receive_message(**request)
        for message in answer.get("Messages", []):
            message["ReceiptHandle"] = "superseded"
        return answer
