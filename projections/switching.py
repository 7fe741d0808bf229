"""Roll back to the generation that was live before, and drop one that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.errors import Refused
from projections.catch_up import Reading
from projections.generations import Catalogue, before, dropping, gone, rollback
from projections.leveling import noted
from projections.projection import Projection
from projections.rebuild import update


def former(projection: Projection[Any], reading: Reading, live: int | None = None) -> int:
    """The generation that a rollback makes live.

    live: the generation that the caller takes to be live. Raises Refused when another one is, or
    when none was kept.
    """
    known = noted(projection, reading)
    if live not in (None, known.live.number):
        name = projection.name
        raise Refused(
            f"{name}@{known.live.number} is live, not {name}@{live}; nothing was changed."
        )
    return before(known)


def roll_back(
    projection: Projection[Any], reading: Reading, now: int, number: int | None = None
) -> Catalogue:
    """Queries read the former live generation from now on.

    number: as ``former`` chose it before. Raises Refused. A generation that other code built was
    not written to meanwhile: sweep afterwards.
    """
    # Chosen once: an answer that was lost must not roll forward again.
    chosen = former(projection, reading) if number is None else number
    return update(reading, projection, lambda c: rollback(c, chosen, now))


def require_idle(projection: Projection[Any], reading: Reading, number: int) -> None:
    """Raises Refused for a generation that is live, or never was."""
    known = noted(projection, reading)
    if _is_told_of(known, number):
        dropping(known, number)


def drop(
    projection: Projection[Any], reading: Reading, number: int, settle: Callable[[], None]
) -> int:
    """Delete a generation's rows; how many. Killed half-way, it goes on when called again.

    settle: waits until no process writes by an older catalogue. Of a generation that is gone
    already, what a process left behind that was frozen meanwhile goes. Raises Refused for the
    live one, and for one that never was.
    """
    known = noted(projection, reading)
    if _is_told_of(known, number):
        update(reading, projection, lambda c: dropping(c, number))
        settle()
    count = reading.rows.drop(projection.generation(number))
    update(reading, projection, lambda c: gone(c, number))
    return count


def _is_told_of(known: Catalogue, number: int) -> bool:
    """Whether the catalogue has a say about it: not of one that is gone."""
    return any(g.number == number for g in known.generations) or number > known.last
