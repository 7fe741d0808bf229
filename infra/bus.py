"""The EventBridge bus: doorbells out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from infra.faults import unavailable
from projections.doorbell import DETAIL_TYPE, SOURCE, Doorbell

_ENTRIES = 10
_BYTES = 240 * 1024


class Bus:
    """client: a low-level boto3 EventBridge client (thread-safe)."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, doorbells: Sequence[Doorbell]) -> list[int]:
        """Put them on the bus; the positions of those that the bus refused.

        PutEvents takes ten entries and 256 KB a call and may refuse some of a call.
        Raises Unavailable; what was published before is published again, which is harmless.
        """
        failed: list[int] = []
        details = [msgspec.json.encode(d).decode() for d in doorbells]
        for start, stop in _batches(details):
            entries = [
                {
                    "Source": SOURCE,
                    "DetailType": DETAIL_TYPE,
                    "Detail": detail,
                    "EventBusName": self._name,
                }
                for detail in details[start:stop]
            ]
            answer = self._put(entries)
            if answer["FailedEntryCount"]:
                failed += [start + i for i, e in enumerate(answer["Entries"]) if e.get("ErrorCode")]
        return failed

    def _put(self, entries: list[dict[str, str]]) -> Any:
        try:
            return self._client.put_events(Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise unavailable("The bus", error, f"event-bus/{self._name}") from error


def _batches(details: Sequence[str]) -> list[tuple[int, int]]:
    batches, start, size = [], 0, 0
    for position, detail in enumerate(details):
        if position > start and (position - start == _ENTRIES or size + len(detail) > _BYTES):
            batches.append((start, position))
            start, size = position, 0
        size += len(detail)
    if start < len(details):
        batches.append((start, len(details)))
    return batches
