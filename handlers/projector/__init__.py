"""The projector: a batch of doorbells in, rows caught up. The same in Lambda and locally.

A commit that a projection's code rejects parks its stream: this and later doorbells of the
stream are noted and acknowledged, and every other stream goes on. Whatever may pass by itself (a
table that does not answer) sends the message back to the queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from domain.controls import of_projection
from domain.errors import SplitSoundError, Unavailable
from handlers.projector.vitals import Vitals
from infra import tracing
from infra.operations import Parked, ParkedStreams, describe
from infra.switchboard import CachedSwitchboard
from projections.catch_up import Reading, catch_up
from projections.doorbell import Doorbell, parse
from projections.folding import ReadModelStuck
from projections.heads import Heads
from projections.leveling import noted
from projections.projection import Projection

if TYPE_CHECKING:
    from commands.ports import Clock

THREADS = 4
PULSE = "pulse"
"""Category of the doorbells that only ask for a sign of life."""


class Projector:
    """A Lambda handler for SQS batches."""

    def __init__(
        self,
        projections: Mapping[str, Projection[Any]],
        reading: Reading,
        parked: ParkedStreams,
        switchboard: CachedSwitchboard,
        vitals: Vitals,
        clock: Clock,
        log: Any,
    ) -> None:
        self._projections = projections
        self._reading = reading
        self._parked = parked
        self._switchboard = switchboard
        self._vitals = vitals
        self._clock = clock
        self._log = log
        self._heads = Heads()
        # Streams are independent, and most of the time is spent waiting for the tables.
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="projector")

    def __call__(self, event: dict[str, Any], _context: object = None) -> dict[str, Any]:
        """Catch up each stream that rang; the messages of those that failed come back."""
        failed: list[str] = []
        rung: dict[str, list[tuple[str, Doorbell]]] = defaultdict(list)
        for record in event["Records"]:
            try:
                bell = parse(record["body"])
            except Exception:
                # Not ours to read: after some deliveries it rests in the dead-letter queue.
                self._log.exception("not a doorbell", message=record["messageId"])
                failed.append(record["messageId"])
            else:
                rung[bell.stream].append((record["messageId"], bell))
        bells = [[bell for _, bell in messages] for messages in rung.values()]
        done = self._pool.map(self._project, rung, bells)
        for messages, projected in zip(rung.values(), done, strict=True):
            if not projected:
                failed += [message for message, _ in messages]
        self._report()
        return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}

    def _project(self, stream: str, bells: Sequence[Doorbell]) -> bool:
        # Whatever goes wrong with one stream must not hold up the others.
        try:
            if bells[0].category == PULSE:
                self._vitals.answer(max(bell.t for bell in bells))
                return True
            for projection in self._projections.values():
                if projection.covers(stream) and not self._is_paused(projection):
                    self._follow(projection, stream, bells)
        except Exception:
            self._log.exception("not projected", stream=stream)
            return False
        return True

    def _report(self) -> None:
        try:
            self._vitals.report()
        except SplitSoundError as error:
            # The rows are written; the messages are done with all the same.
            self._log.warning("no sign of life", error=error.detail)

    def _is_paused(self, projection: Projection[Any]) -> bool:
        # A sweep brings its rows to date once it is resumed.
        subject, switchboard = of_projection(projection.name), self._switchboard
        if subject not in switchboard.state().paused:
            return False
        if not switchboard.recent():
            # A resume may have been missed, and its sweep may be over: the message comes back.
            raise Unavailable("What is paused could not be read lately.")
        # Asked again, because another thread may have read it since.
        return subject in switchboard.state().paused

    def _follow(self, projection: Projection[Any], stream: str, bells: Sequence[Doorbell]) -> None:
        bells = [bell for bell in bells if projection.moves(bell.types)]
        if not bells:
            return
        catalogue = noted(projection, self._reading)
        newest = max(bells, key=lambda bell: bell.last)
        for number in catalogue.written(projection.version):
            parked = self._parked.waiting(projection.name, number, stream)
            if parked and self._still_waits(projection, parked, newest.last):
                continue
            try:
                # Where it was parked, more than these doorbells may have been acknowledged.
                taken = () if parked else bells
                self._catch_up(projection, newest, taken, number)
            except ReadModelStuck as error:
                self._parked.park(describe(error, number, newest.last, self._clock.now()))
                self._log.exception("parked", stream=stream, projection=projection.name)
            else:
                self._vitals.applied(projection.name, newest.t)
                if parked:
                    self._parked.release(parked)

    def _catch_up(
        self, projection: Projection[Any], newest: Doorbell, bells: Sequence[Doorbell], number: int
    ) -> None:
        name, stream = f"project {projection.name}", newest.stream
        with tracing.stage(name, newest.trace, tracing.CONSUMER, stream=stream) as stage:
            version = catch_up(projection, stream, self._reading, bells, number, self._heads)
            stage.tell(version=version)

    def _still_waits(self, projection: Projection[Any], parked: Parked, last: int) -> bool:
        """Whether nobody came past the rejected commit; then the newer one is noted."""
        generation = projection.generation(parked.number)
        head = self._reading.rows.head(generation, parked.stream)
        if head and head.version >= parked.version:
            return False
        return self._parked.note(parked, last, self._clock.now())
