"""The operational table: what is neither a fact nor a view of facts.

========================  ======================  ===========================================
pk                        sk                      what
========================  ======================  ===========================================
``projection#<name>``     ``generation``          the live generation's number
``progress#<job>``        ``progress``            live progress and the worker's heartbeat
``rung#<stream>``         ``rung``                when the sweeper last rang for the stream
========================  ======================  ===========================================

``expires`` (epoch seconds) lets DynamoDB delete what nobody needs any more.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from commands.ports import Clock
from infra.event_store.dynamodb import unavailable

T = TypeVar("T")

PROGRESS_SECONDS = 24 * 3600


class Progress(Struct, frozen=True):
    """Where a running attempt is. done: 0..1 of the stage; beat: epoch ms of the heartbeat."""

    attempt: int
    worker: str
    stage: str
    done: float
    beat: int


class DynamoDBOperations:
    """The operational table by the low-level client."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def live(self, projection: str) -> int:
        """See projections.ports.Generations."""
        return self._get(f"projection#{projection}", "generation", int) or 1

    def flip(self, projection: str, generation: int) -> None:
        """See projections.ports.Generations."""
        self._put(f"projection#{projection}", "generation", generation)

    def progress(self, job_id: str) -> Progress | None:
        """The job's live progress, if a worker reported any in the last day."""
        return self._get(f"progress#{job_id}", "progress", Progress)

    def report(self, job_id: str, progress: Progress) -> None:
        """Say how far an attempt is; this is also its sign of life."""
        expires = self._clock.now() // 1000 + PROGRESS_SECONDS
        self._put(f"progress#{job_id}", "progress", progress, expires)

    def rung(self, stream: str) -> int | None:
        """When the sweeper last rang for the stream, epoch ms."""
        return self._get(f"rung#{stream}", "rung", int)

    def note_rung(self, stream: str) -> None:
        """The sweeper has just rung for the stream."""
        now = self._clock.now()
        self._put(f"rung#{stream}", "rung", now, now // 1000 + PROGRESS_SECONDS)

    def _get(self, pk: str, sk: str, kind: type[T]) -> T | None:
        try:
            answer = self._client.get_item(
                TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        except (ClientError, BotoCoreError) as error:
            raise unavailable("The operational table", error) from error
        item = answer.get("Item")
        return msgspec.json.decode(item["body"]["S"], type=kind) if item else None

    def _put(self, pk: str, sk: str, value: object, expires: int | None = None) -> None:
        body = msgspec.json.encode(value).decode()
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "body": {"S": body}}
        if expires is not None:
            item["expires"] = {"N": str(expires)}
        try:
            self._client.put_item(TableName=self._table, Item=item)
        except (ClientError, BotoCoreError) as error:
            raise unavailable("The operational table", error) from error
