"""Whether another worker is at it, without comparing its clock with ours.

A worker writes a beat each second. Clocks of two machines differ, so what the beat says is not
looked at: a beat that changes while somebody watches is a sign of life, whatever its time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from infra.operations import Progress

POLL_SECONDS = 1.0


class Operations(Protocol):
    """Where workers say how far they are."""

    def progress(self, job_id: str) -> Progress | None:
        """The job's live progress. Raises Unavailable."""


async def is_alive(
    operations: Operations, job_id: str, attempt: int, patience_seconds: float
) -> bool:
    """Whether that attempt at the job (or a later one) beats within ``patience_seconds``.

    At once where the answer is known: no, when nothing was reported, when the attempt said that
    it is over, or when the newest report is of an attempt before it. Raises Unavailable.
    """
    first = await asyncio.to_thread(operations.progress, job_id)
    if first is None or not first.beat or first.attempt < attempt:
        return False
    give_up = time.monotonic() + patience_seconds
    while time.monotonic() < give_up:
        await asyncio.sleep(min(POLL_SECONDS, max(0.0, give_up - time.monotonic())))
        now = await asyncio.to_thread(operations.progress, job_id)
        if now is None or not now.beat:
            return False
        if (now.attempt, now.beat) != (first.attempt, first.beat):
            return True
    return False
