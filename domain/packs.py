"""What is sold: packs of credits at a price. They come from configuration, as JSON."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from domain.credits import MAX_AMOUNT
from domain.errors import Invalid, UnknownPack
from domain.money import Money, require_price

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Pack(Struct, frozen=True, forbid_unknown_fields=True):
    """So many credits for so much. amount: minor units of ``currency``.

    expires_days: how long the credits last; None: for ever.
    """

    name: str
    title: str
    credits: int
    amount: int
    currency: str
    expires_days: int | None = None

    @property
    def money(self) -> Money:
        """Its price."""
        return Money(self.amount, self.currency)


Packs = dict[str, Pack]

# 0.065 to 0.039 EUR a minute at the standard model: the lower end of what the market asks.
DEFAULT = """[
  {"name": "hour", "title": "1 hour of audio", "credits": 3600, "amount": 390, "currency": "eur"},
  {"name": "album", "title": "5 hours of audio", "credits": 18000, "amount": 1490,
   "currency": "eur"},
  {"name": "studio", "title": "25 hours of audio", "credits": 90000, "amount": 5900,
   "currency": "eur"}
]"""


def parse(text: str) -> Packs:
    """The packs in a JSON array, by name; empty text: the default ones.

    Raises Invalid that names the pack and what is wrong with it.
    """
    try:
        packs = msgspec.json.decode(text.strip() or DEFAULT, type=list[Pack])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"The credit packs are not what they should be: {error}.") from error
    for pack in packs:
        _check(pack)
    if len({pack.name for pack in packs}) != len(packs):
        raise Invalid("Two credit packs have one name.")
    return {pack.name: pack for pack in packs}


def named(packs: Packs, name: str) -> Pack:
    """The pack of that name. Raises UnknownPack."""
    try:
        return packs[name]
    except KeyError:
        known = ", ".join(packs) or "none"
        raise UnknownPack(f"No pack {name!r}; what is sold: {known}.") from None


def covering(packs: Packs, missing: int) -> str | None:
    """The name of the smallest pack with so many credits; the largest where none has."""
    by_size = sorted(packs.values(), key=lambda pack: pack.credits)
    enough = [pack.name for pack in by_size if pack.credits >= missing]
    return enough[0] if enough else by_size[-1].name if by_size else None


def _check(pack: Pack) -> None:
    if not _NAME.fullmatch(pack.name):
        raise Invalid(f"A pack's name is lower case letters, digits and -, not {pack.name!r}.")
    if not pack.title.strip():
        raise Invalid(f"The pack {pack.name} needs a title.")
    if not 0 < pack.credits <= MAX_AMOUNT:
        raise Invalid(f"The pack {pack.name} has 1 to {MAX_AMOUNT} credits, not {pack.credits}.")
    if pack.expires_days is not None and not 0 < pack.expires_days <= 36_500:
        raise Invalid(f"The credits of pack {pack.name} last 1 to 36500 days, or for ever.")
    require_price(pack.money)
