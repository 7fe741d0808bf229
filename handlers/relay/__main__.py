"""Tail the event table's stream and feed the relay: Lambda's poller, for the local stack.

Every shard is read from its trim horizon when the process starts: what was published
before is published again, which is harmless, and nothing is ever skipped.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aioboto3
from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import Unavailable
from handlers.relay import Relay
from infra import tracing
from infra.bootstrap import Application
from infra.faults import unavailable
from infra.logs import configure
from infra.settings import from_environment

IDLE_SECONDS = 0.04
DISCOVER_SECONDS = 5.0
MOST = 100  # Lambda's default batch size
# Outages end by themselves; the tail waits this long before it asks again.
FAULT_SECONDS = 1.0


class Tail:
    """All shards of one stream, each in order."""

    def __init__(self, streams: Any, arn: str, relay: Relay, log: Any) -> None:
        self._streams = streams
        self._arn = arn
        self._relay = relay
        self._log = log
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                for shard in await self._shards():
                    if shard not in self._tasks:
                        self._tasks[shard] = asyncio.create_task(self._read(shard))
                await asyncio.sleep(DISCOVER_SECONDS)
                for task in self._tasks.values():
                    if task.done():
                        # What a reader did not foresee ends the process: whoever watches it
                        # starts it anew, while a silent reader would publish nothing for ever.
                        task.result()
        finally:
            for task in self._tasks.values():
                task.cancel()

    async def _shards(self) -> list[str]:
        try:
            answer = await self._streams.describe_stream(StreamArn=self._arn)
        except (ClientError, BotoCoreError) as error:
            self._log.warning("stream did not answer", error=self._told(error))
            return []
        return [s["ShardId"] for s in answer["StreamDescription"]["Shards"]]

    async def _read(self, shard: str) -> None:
        position: str | None = None
        while True:
            try:
                iterator = await self._iterator(shard, position)
                while iterator:
                    answer = await self._streams.get_records(ShardIterator=iterator, Limit=MOST)
                    records = answer["Records"]
                    if records and not await self._publish(records):
                        await asyncio.sleep(FAULT_SECONDS)
                        continue  # the same records again
                    if records:
                        position = records[-1]["dynamodb"]["SequenceNumber"]
                    if len(records) < MOST:
                        # Also after a few: under load they gather, and one call takes ten.
                        await asyncio.sleep(IDLE_SECONDS)
                    iterator = answer.get("NextShardIterator")
                return  # the shard is closed and read to its end
            except (ClientError, BotoCoreError) as error:
                self._log.warning("stream did not answer", shard=shard, error=self._told(error))
                await asyncio.sleep(FAULT_SECONDS)

    def _told(self, error: Exception) -> str:
        return unavailable("The stream", error, self._arn).detail

    async def _iterator(self, shard: str, position: str | None) -> str:
        where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if position:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
        answer = await self._streams.get_shard_iterator(StreamArn=self._arn, ShardId=shard, **where)
        return str(answer["ShardIterator"])

    async def _publish(self, records: list[Any]) -> bool:
        try:
            answer = await asyncio.to_thread(self._relay, {"Records": records})
        except Unavailable as error:
            self._log.warning("bus did not answer", error=error.detail)
            return False
        failures = answer["batchItemFailures"]
        if failures:
            self._log.warning("bus refused", first=failures[0]["itemIdentifier"])
        return not failures


def _stream_arn(application: Application, log: Any) -> str:
    table = application.settings.events_table
    try:
        told = application.client("dynamodb").describe_table(TableName=table)
    except (ClientError, BotoCoreError) as error:
        log.error("cannot start", error=unavailable("DynamoDB", error, f"table/{table}").detail)
        raise SystemExit(1) from error
    return str(told["Table"]["LatestStreamArn"])


async def main() -> None:
    """Until SIGTERM or SIGINT."""
    settings = from_environment()
    log = configure("relay", settings.log_level)
    application = Application(settings, "relay")
    arn = _stream_arn(application, log)
    async with aioboto3.Session().client(
        "dynamodbstreams", region_name=application.region
    ) as streams:
        tail = asyncio.create_task(Tail(streams, arn, Relay(application.bus), log).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, tail.cancel)
        log.info("started", stream=arn)
        with tracing.exporting("relay"):
            try:
                await tail
            except asyncio.CancelledError:
                log.info("stopped")


if __name__ == "__main__":
    asyncio.run(main())
