"""``splitsound bench``: each module measures one thing and gives rows for a table.

Nothing here is asserted in tests: wall-clock depends on the machine. Costs in request
units do not, and are.
"""

from __future__ import annotations

from msgspec import Struct


class Figure(Struct, frozen=True):
    """One measured line. goal: what it should be, in words; peer: the same for who compares."""

    what: str
    value: float
    unit: str
    goal: str = ""
    peer: str = ""
