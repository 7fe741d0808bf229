"""Rows that fell behind: every night all of them, soon those of a resumed or flipped projection.

A message that was lost for good leaves a row behind until its stream moves again; a sweep over
all heads finds it. Doorbells in the projector's dead-letter queue are answered here too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from commands.ports import Clock, Switchboard
from domain.controls import CONTROLS, PROJECTION, Resumed, named, of_projection
from domain.controls import STREAM as CONTROLS_STREAM
from handlers.operating.redriving import release_followers
from infra.operations import DynamoDBOperations, ParkedStreams
from infra.queue import Message, Queue
from projections.catch_up import Reading, catch_up
from projections.crew import Crew
from projections.doorbell import Doorbell, envelope, parse
from projections.folding import ReadModelStuck
from projections.leveling import noted
from projections.projection import Projection
from projections.sweeping import Stuck, Swept, Target, sweep

DAY_MS, RETRY_MS = 24 * 3600 * 1000, 10 * 60 * 1000
SEGMENTS, WORKERS = 16, 2
# Projectors may go by the state before a resume for so long.
_SETTLE_MS = 5000


@dataclass(frozen=True)
class Healing:
    """reading: with the generations as they stand. queue, dead: the projector's."""

    projections: Mapping[str, Projection[Any]]
    reading: Reading
    parked: ParkedStreams
    switchboard: Switchboard
    operations: DynamoDBOperations
    queue: Queue
    dead: Queue
    clock: Clock
    log: Any

    def pulse(self) -> None:
        """Ask the projector for a sign of life, through its queue."""
        bell = Doorbell("pulse-projector", 1, 1, ("Pulse",), self.clock.now(), "sweeper")
        self.queue.send(envelope(bell))

    def heal(self, names: Collection[str] | None = None, segments: int = SEGMENTS) -> Swept:
        """Bring all rows of those projections (all of them unless named) to their tips.

        Not of paused ones: the resume heals them. Raises Unavailable when some rows could not be
        written; the others are.
        """
        paused = self.switchboard.state().paused
        wanted = [
            projection
            for name, projection in self.projections.items()
            if (names is None or name in names) and of_projection(name) not in paused
        ]
        targets = [target for projection in wanted for target in self._targets(projection)]
        total = Swept()
        for done in Crew(WORKERS).run(
            lambda n: sweep(targets, self.reading, n, segments), range(segments)
        ):
            total.add(done)
            for stuck in done.stuck:
                self.parked.park_stuck(stuck, self.clock.now())
        for projection in wanted:
            release_followers(self.parked, self.reading, projection.name)
        if total.written or total.healed or total.stuck:
            self.log.warning(
                "rows were behind", streams=total.streams, absent=total.written,
                behind=total.healed, stuck=len(total.stuck),
            )  # fmt: skip
        return total

    def nightly(self) -> Swept | None:
        """Heal everything once a day; None when it is not time yet.

        A night that failed is tried again, not before RETRY_MS have passed.
        """
        now, last = self.clock.now(), self.operations.swept("night")
        if not last:
            # A store that has just come up was swept when it did.
            self.operations.note_swept("night", now)
            return None
        if now - last < DAY_MS or now - self.operations.swept("night tried") < RETRY_MS:
            return None
        self.operations.note_swept("night tried", now)
        swept = self.heal()
        self.operations.note_swept("night", now)
        return swept

    def flipped(self) -> list[str]:
        """Heal the projections whose live generation is a new one; which they are.

        One that was kept, and is live again, was perhaps not written to meanwhile; and a process
        that was frozen during a rebuild may have written to the old generation alone.
        """
        names = []
        for name, projection in self.projections.items():
            flipped = noted(projection, self.reading).live.flipped
            settled = flipped + _SETTLE_MS <= self.clock.now()
            if settled and flipped > self.operations.swept(f"flip#{name}"):
                self.heal([name])
                self.operations.note_swept(f"flip#{name}", flipped)
                names.append(name)
        return names

    def resumed(self) -> list[str]:
        """Heal the projections that were resumed since the last call; which they were."""
        mark = before = self.operations.swept("controls")
        names: set[str] = set()
        for commit in self.reading.history.read(CONTROLS_STREAM, mark):
            if commit.t > self.clock.now() - _SETTLE_MS:
                break
            for event in CONTROLS.decode(str(commit.events)):
                if isinstance(event, Resumed) and named(event.subject)[0] == PROJECTION:
                    names.add(named(event.subject)[1])
            mark = commit.last
        known = sorted(names & self.projections.keys())
        if known:
            self.heal(known)
        if mark != before:
            self.operations.note_swept("controls", mark)
        return known

    def answer_dead(self) -> int:
        """Catch up the streams whose doorbells died; how many. Unreadable messages stay."""
        answered = 0
        while messages := self.dead.receive(most=10, wait=0):
            for message in messages:
                answered += self._answer(message)
        return answered

    def _answer(self, message: Message) -> int:
        try:
            stream = parse(message.body).stream
            paused = self.switchboard.state().paused
            for name, projection in self.projections.items():
                if projection.covers(stream) and of_projection(name) not in paused:
                    for target in self._targets(projection):
                        self._follow(target, stream)
        except msgspec.MsgspecError:
            self.log.error("dead message is not ours", message=message.id, body=message.body)
            return 0
        except Exception:
            # Whatever it is, other messages and the night's sweep must not wait for it.
            self.log.exception("dead message stays", message=message.id)
            return 0
        self.dead.delete(message)
        return 1

    def _follow(self, target: Target, stream: str) -> None:
        try:
            catch_up(target.projection, stream, self.reading, number=target.number)
        except ReadModelStuck as error:
            self.parked.park_stuck(Stuck(target, stream, error), self.clock.now())

    def _targets(self, projection: Projection[Any]) -> list[Target]:
        catalogue = noted(projection, self.reading)
        return [Target(projection, number) for number in catalogue.written(projection.version)]
