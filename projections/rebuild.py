"""Rebuild a read model blue/green, while the system serves and takes traffic.

1. *Begin*: a generation in state building; from now on live events go to both.
2. *Settle*: wait until no process still works by the list of generations from before.
3. *Fold*: scan all streams in parallel segments, fold each in memory, write each row once. What
   is committed meanwhile reaches the new rows by the live path; the conditional write on the head
   orders the two.
4. *Prove*: compare with the live generation row by row at equal versions (see proof.py).
5. *Flip* one pointer. The old generation is kept, and written to, until it is dropped.

Each step is recorded in the catalogue before the next, so a rebuild that was killed anywhere
goes on when the same command runs again. Nothing but rows and the catalogue is written: no
command runs and no message is sent, so a rebuild fires nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from domain.errors import Conflict
from projections.catch_up import Reading
from projections.crew import Crew
from projections.generations import (
    Catalogue,
    LiveMoved,
    advance,
    begin,
    first,
    flip,
    held,
    released,
)
from projections.projection import Projection
from projections.proof import Comparison, Proof
from projections.sweeping import Stuck, Swept, Target, sweep

_UPDATE_TRIES = 20


class Progress(Struct, frozen=True):
    """phase: settle; fold, counted in commits scanned; or prove, counted in rows."""

    phase: str
    done: int
    total: int


class Report(Struct):
    """What a rebuild did. flipped: whether queries read the new generation now."""

    name: str
    generation: int
    previous: int
    code: int
    previous_code: int
    swept: Swept
    proof: Proof
    resumed: bool
    flipped: bool = False


def update(
    reading: Reading, projection: Projection[Any], change: Callable[[Catalogue], Catalogue]
) -> Catalogue:
    """Change the catalogue atomically; the one that stands afterwards. Raises Conflict."""
    for _ in range(_UPDATE_TRIES):
        now = reading.generations.catalogue(projection.name) or first(projection.version)
        new = change(now)
        if new is now or reading.generations.replace(projection.name, new):
            return new
    raise Conflict(f"Others kept changing the generations of {projection.name}; try again.")


@dataclass
class Rebuild:
    """One rebuild by one process.

    owner: names the process; now: epoch ms; settle: waits for caches; pause: see Crew;
    dead: whether that owner's process is known to have ended; parked: hears of stuck streams;
    stopped: called when the work ends early, so that nobody waits for its pace.
    """

    projection: Projection[Any]
    reading: Reading
    owner: str
    now: Callable[[], int]
    settle: Callable[[], None]
    pause: Callable[[float], Any] | None
    dead: Callable[[str], bool] = lambda _: False
    parked: Callable[[Stuck], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    segments: int = 32
    workers: int = 8
    stopped: Callable[[], object] = lambda: None

    def run(self, *, accept: bool = False) -> Report:
        """All steps. accept: flip in spite of unexpected differences.

        Raises RebuildRunning, Unavailable, Conflict; then, as after a kill, it can go on.
        """
        catalogue = self._begin()
        try:
            return self._run(catalogue, accept)
        except KeyboardInterrupt:
            self._update(lambda c: released(c, self.owner))
            raise

    def _run(self, catalogue: Catalogue, accept: bool) -> Report:
        build = held(catalogue, self.owner)
        old = catalogue.live
        report = Report(
            self.projection.name, build.number, old.number, self.projection.version, old.code,
            Swept(), Proof(), resumed=bool(build.done),
        )  # fmt: skip
        self.progress(Progress("settle", 0, 1))
        self.settle()
        crew = Crew(self.workers, self.pause, self._beat, self.stopped)
        self._fold(catalogue, report, crew)
        while True:
            self._prove(report, crew)
            if report.proof.unexpected and not accept:
                self._update(lambda c: released(c, self.owner))
                return report
            try:
                self._flip(report)
            except LiveMoved:
                live = self._update(lambda c: advance(c, self.owner, self.now())).live
                report.previous, report.previous_code = live.number, live.code
                report.proof = Proof()
            else:
                return report

    def _flip(self, report: Report) -> None:
        number, proven, now = report.generation, report.previous, self.now()
        self._update(lambda c: flip(c, self.owner, now, number, proven))
        report.flipped = True

    def _begin(self) -> Catalogue:
        def start(catalogue: Catalogue) -> Catalogue:
            dead = bool(catalogue.build and self.dead(catalogue.build.owner))
            return begin(
                catalogue, self.projection.version, self.owner, self.now(), self.segments,
                dead=dead, source=self.projection.fingerprint,
            )  # fmt: skip

        return self._update(start)

    def _fold(self, catalogue: Catalogue, report: Report, crew: Crew) -> None:
        build = held(catalogue, self.owner)
        target = Target(self.projection, build.number, empty=True)
        total = self.reading.history.estimate()
        scanned = total * len(build.done) // build.segments

        def heard(swept: Swept) -> None:
            nonlocal scanned
            scanned += swept.scanned
            self.progress(Progress("fold", scanned, max(total, scanned)))
            crew.go_on()

        def segment(number: int) -> tuple[int, Swept]:
            return number, sweep((target,), self.reading, number, build.segments, heard)

        self.progress(Progress("fold", scanned, max(total, 1)))
        todo = [n for n in range(build.segments) if n not in build.done]
        for number, swept in crew.run(segment, todo):
            for stuck in swept.stuck:
                self.parked(stuck)
            self._note(number, swept.streams)
            report.swept.add(swept)

    def _note(self, segment: int, streams: int) -> None:
        self._update(lambda c: advance(c, self.owner, self.now(), segment, streams))

    def _prove(self, report: Report, crew: Crew) -> None:
        comparison = Comparison(
            Target(self.projection, report.generation),
            Target(self.projection, report.previous),
            self.reading,
            self.projection.intended(report.previous_code),
        )
        compared = 0

        def heard(proof: Proof) -> None:
            nonlocal compared
            compared += proof.rows
            self.progress(Progress("prove", compared, max(report.swept.streams, compared)))
            crew.go_on()

        self.progress(Progress("prove", 0, max(report.swept.streams, 1)))

        def segment(number: int) -> Proof:
            return comparison.run(number, self.segments, heard)

        for proof in crew.run(segment, range(self.segments)):
            report.proof.add(proof)

    def _beat(self) -> None:
        self._update(lambda c: advance(c, self.owner, self.now()))

    def _update(self, change: Callable[[Catalogue], Catalogue]) -> Catalogue:
        return update(self.reading, self.projection, change)
