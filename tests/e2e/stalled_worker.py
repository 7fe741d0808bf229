"""A real worker that stands still at one point, so that a test can kill it exactly there.

    python -m tests.e2e.stalled_worker POINT MARKER

POINT is a stage, or ``before-commit`` or ``after-commit`` of the job's end. MARKER is a
file that appears when the point is reached.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from commands import CompleteSeparation, RecordStage
from commands.dispatch import Command
from handlers.worker.__main__ import main
from handlers.worker.separation import Separation

_execute = Separation._execute


async def stand_still(marker: Path) -> None:
    await asyncio.to_thread(marker.touch)
    await asyncio.sleep(3600)


def stall(point: str, marker: Path) -> None:
    """Make the worker stand still at that point."""

    async def execute(self: Separation, command: Command) -> None:
        if isinstance(command, RecordStage) and command.stage == point:
            await stand_still(marker)  # the stage's work is done and not yet recorded
        ends = isinstance(command, CompleteSeparation)
        if ends and point == "before-commit":
            await stand_still(marker)
        await _execute(self, command)
        if ends and point == "after-commit":
            await stand_still(marker)

    Separation._execute = execute  # type: ignore[method-assign]


if __name__ == "__main__":
    stall(sys.argv[1], Path(sys.argv[2]))
    asyncio.run(main())
