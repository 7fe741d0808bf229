"""Bring every read model to date where nothing else runs: at the start of a local stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import projections
from projections.catch_up import Reading
from projections.generations import Catalogue, first
from projections.projection import Projection

if TYPE_CHECKING:
    from projections.sweeping import Swept, Target

_UNKNOWN = 0
"""The version of code that left no note."""


def level(reading: Reading, now: Callable[[], int]) -> Swept:
    """Sweep all generations in use; read models that older code built are built anew first.

    Nobody compares before that switch: the code that runs is the code that is wanted, and
    nobody is being served yet.
    """
    from projections.sweeping import Target, sweep

    targets: list[Target] = []
    for projection in projections.ALL.values():
        catalogue = _found(projection, reading)
        if catalogue.live.code != projection.version:
            _rebuild(projection, reading, now)
            catalogue = noted(projection, reading)
        targets += [Target(projection, n) for n in catalogue.written(projection.version)]
    return sweep(targets, reading)


def noted(projection: Projection[Any], reading: Reading) -> Catalogue:
    """The catalogue; the first one is written down, so that it says which code filled it."""
    found = reading.generations.catalogue(projection.name)
    if found is None:
        reading.generations.replace(projection.name, first(projection.version))
        found = reading.generations.catalogue(projection.name)
    return found or first(projection.version)


def _found(projection: Projection[Any], reading: Reading) -> Catalogue:
    """The catalogue; rows that nobody noted were built by code from before there was one."""
    if reading.generations.catalogue(projection.name) is None:
        row = next(iter(reading.rows.scan(projection.generation(1))), None)
        if row:
            reading.generations.replace(projection.name, first(_UNKNOWN))
    return noted(projection, reading)


def _rebuild(projection: Projection[Any], reading: Reading, now: Callable[[], int]) -> None:
    # A projector only notes, and starts without it.
    from projections.rebuild import Rebuild

    Rebuild(
        projection, reading, "up", now, settle=lambda: None, pause=time.sleep, dead=lambda _: True
    ).run(accept=True)
