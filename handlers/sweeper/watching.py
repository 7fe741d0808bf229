"""How long nothing has changed, by one clock: the watcher's own.

Workers, the API and the sweeper run on machines whose clocks differ. So no time that another
machine wrote is compared with ours: the sweeper writes down what it saw and when it saw that
first, and silence is counted from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from commands.ports import Clock
from infra.operations import DynamoDBOperations, Seen


class Look(Struct, frozen=True):
    """unchanged: milliseconds since the newest change, or since the first look.

    moved: whether any look found a change; until then nothing is known.
    """

    unchanged: int
    moved: bool


@dataclass(frozen=True)
class Watch:
    """Remembers in the operational table, so that a restarted sweeper need not begin anew."""

    operations: DynamoDBOperations
    clock: Clock

    def look(self, stream: str, version: int) -> Look:
        """At the stream, which is at that version, and at its worker's beat. Raises Unavailable."""
        token, now = self._token(stream, version), self.clock.now()
        seen = self.operations.seen(stream)
        # A look that seems to be still to come is from before our own clock was set back.
        if seen is None or seen.token != token or seen.since > now:
            moved = seen is not None and (seen.moved or seen.token != token)
            seen = Seen(token, now, moved)
            self.operations.note_seen(stream, seen)
        return Look(now - seen.since, seen.moved)

    def _token(self, stream: str, version: int) -> str:
        progress = self.operations.progress(stream.partition("-")[2])
        beat = f"{progress.attempt}.{progress.beat}" if progress else ""
        return f"{version}/{beat}"
