"""Generations of a read model: which rows are read, which are written, which are being built.

A rebuild folds all streams into a new generation beside the live one and then flips::

    building ──flip──▶ live ──flip of a newer one──▶ kept ──drop──▶ dropping ──▶ gone
                        ▲                              │
                        └───────── rollback ───────────┘

All of a projection's generations stand in one ``Catalogue``, one item of the operational table,
replaced only where its revision is still the one that was read. So a flip is atomic, and of two
rebuilds that begin at once one is refused. Everything here is a pure function on catalogues.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import Refused

LIVE, BUILDING, KEPT, DROPPING = "live", "building", "kept", "dropping"
# A build whose owner has not been heard of for so long may be taken over.
LEASE_MS = 15_000


class Generation(Struct, frozen=True):
    """code: version of the projection's code that built the rows. flipped: when it went live."""

    number: int
    code: int
    state: str
    flipped: int = 0


class Build(Struct, frozen=True):
    """A rebuild in progress. owner: the process; beat: its last sign of life, epoch ms.

    done: segments of the scan whose rows are all written; streams: how many that were; source:
    fingerprint of the projection's source.
    """

    owner: str
    number: int
    segments: int
    started: int
    beat: int
    done: tuple[int, ...] = ()
    streams: int = 0
    source: str = ""


class RebuildRunning(Refused):
    """Another process is rebuilding the same read model."""

    code = "rebuild_running"


class Catalogue(Struct, frozen=True):
    """revision: counts replacements; last: the highest number ever given out."""

    generations: tuple[Generation, ...]
    last: int = 1
    build: Build | None = None
    revision: int = 0

    @property
    def live(self) -> Generation:
        """The generation that queries read."""
        return next(g for g in self.generations if g.state == LIVE)

    @property
    def building(self) -> Generation | None:
        """The generation that a rebuild fills."""
        return next((g for g in self.generations if g.state == BUILDING), None)

    @property
    def kept(self) -> list[Generation]:
        """Former live generations, the one that was live last first."""
        kept = [g for g in self.generations if g.state == KEPT]
        return sorted(kept, key=lambda g: g.flipped, reverse=True)

    def written(self, code: int) -> list[int]:
        """The generations that events go to, written by that version of the code.

        The live one always: fresh rows count for more than uniform ones. Others only by the
        code that built them, so that a rollback finds what it expects.
        """
        current = [g for g in self.generations if g.state in (BUILDING, KEPT) and g.code == code]
        return [self.live.number, *(g.number for g in current)]

    def find(self, number: int) -> Generation:
        """Raises Refused when there is no such generation."""
        for generation in self.generations:
            if generation.number == number:
                return generation
        there = ", ".join(str(g.number) for g in self.generations)
        raise Refused(f"There is no generation {number}; there are {there}.")

    def with_state(self, number: int, state: str, flipped: int = 0) -> Catalogue:
        """That generation in another state."""
        changed = tuple(
            replace(g, state=state, flipped=flipped or g.flipped) if g.number == number else g
            for g in self.generations
        )
        return replace(self, generations=changed)


def first(code: int) -> Catalogue:
    """Before any rebuild: generation 1, filled by the projector from the first event on."""
    return Catalogue((Generation(1, code, LIVE),))


def begin(
    catalogue: Catalogue,
    code: int,
    owner: str,
    now: int,
    segments: int,
    *,
    dead: bool = False,
    source: str = "",
) -> Catalogue:
    """Start a build, or go on with one whose owner is gone.

    dead: the caller knows that the owner's process has ended. Raises RebuildRunning. A build
    by other code cannot go on: its generation is given up for a new one.
    """
    running = catalogue.build
    if running and running.owner != owner and not dead and now - running.beat < LEASE_MS:
        raise RebuildRunning(
            f"It is being rebuilt already, by {running.owner} since "
            f"{(now - running.started) // 1000} s ({len(running.done)} of {running.segments} "
            "segments done). Wait for it, or stop it and run the same command to go on."
        )
    unfinished = catalogue.building
    if running and unfinished and (unfinished.code, running.source) == (code, source):
        return replace(catalogue, build=replace(running, owner=owner, beat=now))
    if unfinished:
        catalogue = catalogue.with_state(unfinished.number, DROPPING)
    number = catalogue.last + 1
    return replace(
        catalogue,
        generations=(*catalogue.generations, Generation(number, code, BUILDING)),
        last=number,
        build=Build(owner, number, segments, now, now, source=source),
    )


def advance(
    catalogue: Catalogue, owner: str, now: int, segment: int | None = None, streams: int = 0
) -> Catalogue:
    """A sign of life; segment: one whose rows are all written. Raises RebuildRunning."""
    build = held(catalogue, owner)
    done = build.done if segment is None else tuple(sorted({*build.done, segment}))
    return replace(
        catalogue, build=replace(build, beat=now, done=done, streams=build.streams + streams)
    )


def held(catalogue: Catalogue, owner: str) -> Build:
    """The owner's build. Raises RebuildRunning when another process took it over."""
    build = catalogue.build
    if build is None or build.owner != owner:
        raise RebuildRunning(
            "Another process took this rebuild over or ended it; this one stops here."
        )
    return build


def released(catalogue: Catalogue, owner: str) -> Catalogue:
    """The owner leaves the build as it is; whoever comes next need not wait for the lease."""
    if catalogue.build is None or catalogue.build.owner != owner:
        return catalogue
    return replace(catalogue, build=replace(catalogue.build, beat=0))


class LiveMoved(Refused):
    """Another generation is live than the one that a proof compared with."""

    code = "live_generation_moved"


def flip(catalogue: Catalogue, owner: str, now: int, number: int, proven: int) -> Catalogue:
    """The built generation goes live; the one that was live, ``proven``, is kept.

    Done already: no change, so that it can be sent again. Raises RebuildRunning, or LiveMoved
    when somebody rolled back meanwhile.
    """
    if catalogue.build is None and catalogue.live.number == number:
        return catalogue
    build = held(catalogue, owner)
    if catalogue.live.number != proven:
        raise LiveMoved(
            f"{catalogue.live.number} went live while {number} was compared with {proven}."
        )
    if len(build.done) < build.segments:
        raise Refused("Not all of it is folded; it cannot go live.")
    return replace(_promoted(catalogue, build.number, now), build=None)


def before(catalogue: Catalogue) -> int:
    """The generation that a rollback makes live. Raises Refused without one."""
    if not catalogue.kept:
        raise Refused("There is no earlier generation to go back to: none was kept.")
    return catalogue.kept[0].number


def rollback(catalogue: Catalogue, number: int, now: int) -> Catalogue:
    """That kept generation goes live again; done already: no change. Raises Refused."""
    found = catalogue.find(number)
    if found.state == LIVE:
        return catalogue
    if found.state != KEPT:
        raise Refused(f"Generation {number} is {found.state}; it cannot go live.")
    return _promoted(catalogue, number, now)


def _promoted(catalogue: Catalogue, number: int, now: int) -> Catalogue:
    return catalogue.with_state(catalogue.live.number, KEPT).with_state(number, LIVE, now)


def dropping(catalogue: Catalogue, number: int) -> Catalogue:
    """Nobody writes to it from now on; its rows may go. Raises Refused for the live one."""
    generation = catalogue.find(number)
    if generation.state == LIVE:
        raise Refused(f"Generation {number} is live; it cannot be dropped.")
    build = None if generation.state == BUILDING else catalogue.build
    return replace(catalogue.with_state(number, DROPPING), build=build)


def gone(catalogue: Catalogue, number: int) -> Catalogue:
    """Its rows are deleted; it may have been gone before."""
    left = tuple(g for g in catalogue.generations if g.number != number)
    same = len(left) == len(catalogue.generations)
    return catalogue if same else replace(catalogue, generations=left)
