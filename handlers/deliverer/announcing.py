"""Doorbells in, deliveries in the operational table. The same for SQS batches of any consumer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from commands.ports import Clock
from domain.commit import JOURNALED, Commit
from domain.endpoints import Endpoint
from domain.errors import SplitSoundError, Unavailable
from domain.user import UserState
from handlers.deliverer.messages import KINDS, Message, Messages
from handlers.deliverer.schedule import SPAN_MS
from infra.operations import Deliveries, Delivery
from infra.operations.deliveries import message_id
from infra.queue import Queue
from projections.doorbell import Doorbell, parse
from projections.ports import History

THREADS = 4
NEWS_MS = 21 * 86_400_000
"""What is older is no news to anybody, however it came to ring again. Longer than a doorbell can
wait in queues, and shorter than deliveries are remembered, so that none is made twice.
"""
SKEW_MS = 60_000
"""By how much clocks may differ: what happened long before an endpoint was added is not sent."""


class Announcer:
    """A handler of SQS batches. announced: called when something is to be sent.

    person: a person as it stands, consistently read.
    """

    def __init__(
        self,
        history: History,
        person: Callable[[str], UserState],
        messages: Messages,
        deliveries: Deliveries,
        clock: Clock,
        log: Any,
        announced: Callable[[], None] = lambda: None,
    ) -> None:
        self._history, self._person, self._messages = history, person, messages
        self._deliveries, self._clock, self._log = deliveries, clock, log
        self._announced = announced
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="announcer")

    def __call__(self, event: dict[str, Any], _context: object = None) -> dict[str, Any]:
        """Make the deliveries of each commit that rang; the messages of those that failed come
        back.
        """
        records = event["Records"]
        done = self._pool.map(lambda each: self._hear(each["messageId"], each["body"]), records)
        failed = [r["messageId"] for r, heard in zip(records, done, strict=True) if not heard]
        return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}

    def answer_dead(self, dead: Queue) -> int:
        """Try once more with each doorbell that died; how many are done with. Others stay."""
        answered = 0
        while letters := dead.receive(most=10, wait=0):
            for letter in letters:
                if self._hear(letter.id, letter.body):
                    dead.delete(letter)
                    answered += 1
        return answered

    def catch_up(self) -> int:
        """Announce once more what can still be under way, of every stream; how many were new.

        The local stack's emulator forgets deliveries and doorbells when it is killed. What was
        delivered before is delivered again then, under its old id.
        """
        since = self._clock.now() - SPAN_MS
        streams: dict[str, int] = {}
        for commit in self._history.scan():
            if commit.t >= since and not KINDS.keys().isdisjoint(commit.types):
                streams[commit.stream] = min(commit.first, streams.get(commit.stream, commit.first))
        return sum(self._announce(stream, first) for stream, first in streams.items())

    def _hear(self, message: str, text: str) -> bool:
        # Whatever goes wrong with one commit must not hold up the others.
        try:
            bell = parse(text)
            if bell.origin is None:
                self._announce(bell.stream, bell.first, bell)
        except msgspec.MsgspecError:
            self._log.exception("not a doorbell", message=message)
        except SplitSoundError as error:
            self._log.warning("not announced", message=message, error=error.detail)
        except Exception:
            self._log.exception("not announced", message=message)
        else:
            return True
        return False

    def _announce(self, stream: str, first: int, bell: Doorbell | None = None) -> int:
        commits = list(self._history.read(stream))
        if bell and (not commits or commits[-1].last < bell.last):
            raise Unavailable(f"The store does not have {stream} version {bell.last} yet.")
        last = bell.last if bell else commits[-1].last
        count = 0
        for place, commit in enumerate(commits):
            if first <= commit.first <= last and self._is_news(commit):
                for message in self._messages.of(commits[: place + 1]):
                    count += self._deliver(message)
        if count:
            self._announced()
        return count

    def _is_news(self, commit: Commit) -> bool:
        # What came from another stage fires nothing here; what this stage's journal gave back does.
        ours = commit.origin in (None, JOURNALED)
        told = not KINDS.keys().isdisjoint(commit.types)
        return ours and told and commit.t > self._clock.now() - NEWS_MS

    def _deliver(self, message: Message) -> int:
        return sum(
            self._deliveries.add(delivery(message, endpoint, self._clock.now()))
            for endpoint in self._wanting(message)
        )

    def _wanting(self, message: Message) -> Iterator[Endpoint]:
        for endpoint in self._person(message.user_id).endpoints.values():
            if endpoint.wants(message.type) and message.time >= endpoint.created - SKEW_MS:
                yield endpoint


def delivery(message: Message, endpoint: Endpoint, now: int) -> Delivery:
    """A message to one endpoint, due now (epoch ms)."""
    known = message_id(
        endpoint.endpoint_id, message.stream, message.version, message.type, message.time
    )
    return Delivery(
        message_id=known,
        user_id=message.user_id,
        endpoint_id=endpoint.endpoint_id,
        type=message.type,
        body=message.body,
        created=now,
        due=now,
    )
