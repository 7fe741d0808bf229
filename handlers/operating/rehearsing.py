"""What a rebuild would change and cost, without writing anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from handlers.operating.rebuilding import SEGMENTS, WORKERS, paced
from infra.bootstrap import Application
from infra.metering import Units
from infra.pacing import Pace, PacedRows
from projections.catch_up import Reading
from projections.checking import Check, Checked
from projections.crew import Crew
from projections.generations import Catalogue, first
from projections.ports import HEAD
from projections.projection import Projection
from projections.rebuild import Progress
from projections.sweeping import Stream, Stuck, Target, folded_in_memory
from projections.verify import Difference


class Rehearsal(Struct):
    """What today's code would write, and how that differs from the rows that are read now.

    rows: to be written; units: writes that they would cost, reads that this took; behind: live
    rows that lag behind their streams; stuck: streams that would be parked.
    """

    code: int
    live: int
    live_code: int
    streams: int = 0
    events: int = 0
    rows: int = 0
    units: Units = field(default_factory=Units)
    intended: list[Difference] = []
    unexpected: list[Difference] = []
    behind: list[Difference] = []
    stuck: list[Stuck] = []


def rehearse(
    application: Application,
    projection: Projection[Any],
    pace: Pace,
    progress: Callable[[Progress], None],
    *,
    segments: int = SEGMENTS,
    workers: int = WORKERS,
) -> Rehearsal:
    """Fold everything with today's code and compare with the live rows. Raises Unavailable."""
    reading = paced(application, pace)
    catalogue = reading.generations.catalogue(projection.name) or first(projection.version)
    return _Rehearsing(
        projection, reading, PacedRows(application.rows, pace), catalogue, application.clock.now
    ).run(Crew(workers, stopped=pace.release), segments, pace, progress)


class _Rehearsing:
    def __init__(
        self,
        projection: Projection[Any],
        reading: Reading,
        rows: PacedRows,
        catalogue: Catalogue,
        now: Callable[[], int],
    ) -> None:
        live = catalogue.live
        self._reading, self._rows = reading, rows
        self._target = Target(projection, live.number)
        self._check = Check(self._target, reading, now, seen=self._fold)
        self._intended = projection.intended(live.code)
        self._found = Rehearsal(projection.version, live.number, live.code)
        self._lock = threading.Lock()

    def run(
        self, crew: Crew, segments: int, pace: Pace, progress: Callable[[Progress], None]
    ) -> Rehearsal:
        found, scanned = self._found, 0
        total = self._reading.history.estimate()

        def heard(checked: Checked) -> None:
            nonlocal scanned
            crew.go_on()
            with self._lock:
                scanned += checked.scanned
                progress(Progress("fold", scanned, max(total, scanned)))

        for checked in crew.run(lambda n: self._check.streams(n, segments, heard), range(segments)):
            found.streams += checked.streams
            found.events += checked.events
            self._sort(checked)
        for checked in crew.run(lambda n: self._check.rows(n, segments), range(segments)):
            self._sort(checked)
        found.units.reads = pace.spent.reads
        return found

    def _fold(self, stream: Stream) -> None:
        folded = folded_in_memory(self._target, stream)
        rows = [*([folded.head] if folded.head else []), *folded.lines]
        units = sum(map(self._rows.write_units, rows))
        with self._lock:
            self._found.rows += len(rows)
            self._found.units.writes += units
            if folded.stuck:
                self._found.stuck.append(Stuck(self._target, stream.name, folded.stuck))

    def _sort(self, checked: Checked) -> None:
        for each in checked.differences:
            prefix = "" if each.key == HEAD else "line."
            if _is_behind(each):
                self._found.behind.append(each)
            elif prefix + each.field in self._intended:
                self._found.intended.append(each)
            else:
                self._found.unexpected.append(each)


def _is_behind(difference: Difference) -> bool:
    """A rebuild brings such a row to date before it compares."""
    if difference.key != HEAD or difference.field != "version":
        return False
    found, expected = difference.found or 0, difference.expected or 0
    return bool(expected > found)
