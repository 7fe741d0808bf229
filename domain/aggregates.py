"""Every aggregate there is, by the category that begins its streams' names."""

from __future__ import annotations

from typing import Any

from domain.acts import ACTS_OF_OPERATORS
from domain.aggregate import Aggregate
from domain.asset import ASSET
from domain.controls import CONTROLS
from domain.credits import CREDITS
from domain.errors import NotFound
from domain.job import JOB
from domain.purchase import PURCHASE
from domain.user import USER

BY_CATEGORY: dict[str, Aggregate[Any]] = {
    aggregate.category: aggregate
    for aggregate in (JOB, CREDITS, ASSET, USER, PURCHASE, CONTROLS, ACTS_OF_OPERATORS)
}


def of_stream(stream: str) -> Aggregate[Any]:
    """The aggregate whose events stand in ``<category>-<id>``. Raises NotFound."""
    category = stream.partition("-")[0]
    try:
        return BY_CATEGORY[category]
    except KeyError:
        known = ", ".join(f"{name}-<id>" for name in sorted(BY_CATEGORY))
        raise NotFound(f"No aggregate has streams like {stream!r}; there are {known}.") from None
