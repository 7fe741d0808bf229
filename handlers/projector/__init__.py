"""The projector: a batch of doorbells in, rows caught up. The same in Lambda and locally."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projections.catch_up import Reading, catch_up
from projections.doorbell import parse
from projections.projection import Projection


class Projector:
    """A Lambda handler for SQS batches."""

    def __init__(
        self, projections: Mapping[str, Projection[Any]], reading: Reading, log: Any
    ) -> None:
        self._projections = projections
        self._reading = reading
        self._log = log

    def __call__(self, event: dict[str, Any], _context: object = None) -> dict[str, Any]:
        """Catch up the stream of each message; failures come back on their own."""
        failed = [r["messageId"] for r in event["Records"] if not self._project(r)]
        return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}

    def _project(self, record: dict[str, Any]) -> bool:
        # Whatever goes wrong with one message must not hold up the others; it is logged
        # with its traceback and ends in the dead-letter queue when it stays wrong.
        try:
            doorbell = parse(record["body"])
            for projection in self._projections.values():
                if projection.covers(doorbell.stream):
                    catch_up(projection, doorbell.stream, self._reading, doorbell)
        except Exception:
            self._log.exception("not projected", message=record["messageId"])
            return False
        return True
