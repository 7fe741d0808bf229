"""A queue's consumer for the local stack, with Lambda's contract for SQS batches.

The handler gets ``{"Records": [{"messageId", "body"}]}`` and answers ``batchItemFailures``;
messages that it names come back after their visibility timeout, the others are deleted.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from domain.errors import Unavailable
from infra.queue import MOST, Message, Queue

Handler = Callable[[dict[str, Any]], dict[str, Any]]
FAULT_SECONDS = 1.0


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def consume(queue: Queue, handler: Handler, stop: threading.Event, wait: int, log: Any) -> None:
    """Feed the handler batch by batch until ``stop`` is set. wait: seconds of a long poll."""
    while not stop.is_set():
        try:
            kept = _one_batch(queue, handler, wait)
            if kept:
                log.warning("handled messages will come again", count=len(kept))
        except Unavailable as error:
            log.warning("queue did not answer", error=error.detail)
            stop.wait(FAULT_SECONDS)


def every(seconds: float, work: Callable[[], object], stop: threading.Event, log: Any) -> None:
    """Do it again and again until ``stop`` is set; a round that fails is followed by the next."""
    while not stop.is_set():
        begun = time.monotonic()
        try:
            work()
        except Exception:
            # The next round tries again; a process that died would heal nothing.
            log.exception("round failed", work=getattr(work, "__qualname__", ""))
        stop.wait(max(0.0, seconds - (time.monotonic() - begun)))


def _one_batch(queue: Queue, handler: Handler, wait: int) -> list[Message]:
    """The messages that were handled and could not be deleted."""
    messages = queue.receive(most=MOST, wait=wait)
    if not messages:
        return []
    records = [{"messageId": m.id, "body": m.body} for m in messages]
    failed = {f["itemIdentifier"] for f in handler({"Records": records})["batchItemFailures"]}
    return queue.delete_all([m for m in messages if m.id not in failed])
