"""Draws: so many credits out of one grant. What is taken in order is given back exactly."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Draw(Struct, frozen=True, array_like=True):
    """So many credits out of one grant."""

    grant_id: str
    amount: int


Draws = tuple[Draw, ...]


class Reservation(Struct, frozen=True):
    """A job's hold."""

    amount: int
    draws: Draws


def total(draws: Iterable[Draw]) -> int:
    """Credits in all."""
    return sum(draw.amount for draw in draws)


def taken(offered: Iterable[Draw], amount: int) -> Draws:
    """The first ``amount`` credits of what is offered, or all of it."""
    return split(offered, amount)[0]


def split(draws: Iterable[Draw], amount: int) -> tuple[Draws, Draws]:
    """The first ``amount`` credits, and the rest."""
    first, rest = [], []
    for draw in draws:
        part = min(amount, draw.amount)
        amount -= part
        if part:
            first.append(Draw(draw.grant_id, part))
        if part < draw.amount:
            rest.append(Draw(draw.grant_id, draw.amount - part))
    return tuple(first), tuple(rest)
