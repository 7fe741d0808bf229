"""Roll back to the generation that was live before, and drop one that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from projections.catch_up import Reading
from projections.generations import Catalogue, dropping, gone, rollback
from projections.projection import Projection
from projections.rebuild import update


def roll_back(projection: Projection[Any], reading: Reading, now: int) -> Catalogue:
    """Queries read the former live generation from now on. Raises Refused without one.

    A generation that other code built was not written to since it was kept: sweep afterwards.
    """
    return update(reading, projection, lambda c: rollback(c, now))


def drop(
    projection: Projection[Any], reading: Reading, number: int, settle: Callable[[], None]
) -> int:
    """Delete a generation's rows; how many. Killed half-way, it goes on when called again.

    settle: waits until no process writes by an older catalogue. Raises Refused for the live one.
    """
    update(reading, projection, lambda c: dropping(c, number))
    settle()
    count = reading.rows.drop(projection.generation(number))
    update(reading, projection, lambda c: gone(c, number))
    return count
