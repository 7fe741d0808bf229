"""Grants: credits with a common origin, and the order in which they are spent."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from domain.draws import Draw, Draws

BOUGHT = "purchase"
"""The source of a grant that somebody paid money for."""


class Grant(Struct):
    """left: spendable credits; held: in reservations. number: order of arrival.

    expires: epoch milliseconds. source: empty in rows of before it was noted.
    """

    left: int
    held: int
    expires: int | None
    priority: int
    number: int
    source: str = ""

    def is_over(self, now: int) -> bool:
        """Whether its time is over at ``now`` (epoch ms)."""
        return self.expires is not None and self.expires <= now


Grants = Mapping[str, Grant]


def burn_order(grants: Grants, now: int) -> list[Draw]:
    """All that can be spent at ``now``: by priority, then expiry, then age."""
    live = [(i, g) for i, g in grants.items() if g.left and not g.is_over(now)]
    live.sort(key=lambda item: (item[1].priority, item[1].expires or 1 << 62, item[1].number))
    return [Draw(grant_id, grant.left) for grant_id, grant in live]


def lasting(grants: Grants, draws: Draws, now: int) -> Draws:
    """The draws on grants whose time is not over."""
    return tuple(draw for draw in draws if not grants[draw.grant_id].is_over(now))
