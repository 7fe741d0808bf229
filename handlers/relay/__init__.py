"""The relay: DynamoDB stream records in, doorbells on the bus out.

One handler, the same in Lambda and on the local stack, where ``__main__`` tails the
stream and calls it with records of the same shape.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Protocol

from msgspec.structs import replace

from infra import tracing
from projections.doorbell import Doorbell, lane, riding

Record = dict[str, Any]


class Bus(Protocol):
    """Where doorbells go."""

    def publish(self, doorbells: list[Doorbell]) -> list[int]:
        """Put them on the bus; the positions of those it refused."""


class Relay:
    """A Lambda handler for a stream of commit items (view type NEW_IMAGE)."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __call__(self, event: Record, _context: object = None) -> Record:
        """Publish the commits in a batch of records.

        Answers ``batchItemFailures`` with the first record that was not published: the
        stream's order is kept by reading on from there, and publishing twice is harmless.
        """
        inserted = [r for r in event["Records"] if r["eventName"] == "INSERT"]
        with ExitStack() as stages:
            bells = [_traced(doorbell(r), stages) for r in inserted]
            refused = self._bus.publish(bells)
        if not refused:
            return {"batchItemFailures": []}
        first = inserted[min(refused)]["dynamodb"]["SequenceNumber"]
        return {"batchItemFailures": [{"itemIdentifier": first}]}


def _traced(bell: Doorbell, stages: ExitStack) -> Doorbell:
    """The doorbell as part of its commit's trace: who hears it follows from its publishing."""
    publishing = tracing.stage(
        "publish", bell.trace, tracing.PRODUCER, stream=bell.stream, version=bell.last
    )
    return replace(bell, trace=stages.enter_context(publishing).trace)


def doorbell(record: Record) -> Doorbell:
    """The doorbell of a stream record, from its NEW_IMAGE."""
    image = record["dynamodb"]["NewImage"]
    types, events = tuple(sorted(image["types"]["SS"])), image["events"].get("S")
    return Doorbell(
        image["stream_id"]["S"],
        int(image["seq"]["N"]),
        int(image["n"]["N"]),
        types,
        int(image["t"]["N"]),
        _text(image, "actor") or "",
        _text(image, "cmd") or "",
        _text(image, "corr") or "",
        _text(image, "origin"),
        riding(events),
        lane(types, events),
        tracing.unpacked(image.get("trace", {}).get("B", b"")),
    )


def _text(image: Record, name: str) -> str | None:
    return image[name]["S"] if name in image else None
