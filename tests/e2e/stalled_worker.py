"""A real worker that stands still at one point, so that a test can kill it exactly there.

    python -m tests.e2e.stalled_worker POINT MARKER

POINT is a stage, or ``before-commit`` or ``after-commit`` of the job's end. MARKER is a
file that appears when the point is reached.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from commands import CompleteSeparation
from commands.dispatch import Command
from handlers.worker.__main__ import main
from handlers.worker.heartbeat import Heartbeat
from handlers.worker.separation import Separation

_stage = Separation._stage
_execute = Separation._execute


async def stand_still(marker: Path) -> None:
    await asyncio.to_thread(marker.touch)
    await asyncio.sleep(3600)


def stall(point: str, marker: Path) -> None:
    """Make the worker stand still at that point."""

    @asynccontextmanager
    async def stage(self: Separation, name: str, heart: Heartbeat) -> AsyncIterator[None]:
        async with _stage(self, name, heart):
            yield
            if name == point:  # the stage's work is done and not yet recorded
                await stand_still(marker)

    async def execute(self: Separation, command: Command) -> None:
        ends = isinstance(command, CompleteSeparation)
        if ends and point == "before-commit":
            await stand_still(marker)
        await _execute(self, command)
        if ends and point == "after-commit":
            await stand_still(marker)

    Separation._stage = stage  # type: ignore[method-assign]
    Separation._execute = execute  # type: ignore[method-assign]


if __name__ == "__main__":
    stall(sys.argv[1], Path(sys.argv[2]))
    asyncio.run(main())
