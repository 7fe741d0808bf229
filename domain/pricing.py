"""What a separation would give and cost: the one decision behind quotes and jobs."""

from __future__ import annotations

from msgspec import Struct

from domain.audio import Audio, format_for
from domain.catalog import Catalog
from domain.errors import PriceChanged


class Offer(Struct, frozen=True):
    """price: credits, by the price list of that version."""

    model: str
    stems: tuple[str, ...]
    format: str
    price: int
    price_list: str


class Quoted(Struct, frozen=True):
    """What a quote said: credits, by the price list of that version."""

    price: int
    price_list: str


def require_quoted(offered: Offer, quoted: Quoted | None) -> None:
    """Raises PriceChanged unless the offer is what was quoted, or nothing was."""
    if quoted and quoted != Quoted(offered.price, offered.price_list):
        raise PriceChanged(
            f"The quote said {quoted.price} credits by price list {quoted.price_list}; by "
            f"{offered.price_list} it is {offered.price}. Nothing was reserved; ask for a new "
            "quote.",
            price=offered.price,
            price_list=offered.price_list,
        )


def offer(
    catalog: Catalog, audio: Audio, model: str, stems: tuple[str, ...], format_name: str
) -> Offer:
    """The offer for that audio; no stem named: all of the model's.

    Raises UnknownModel, UnknownStem or UnsupportedFormat.
    """
    given = catalog.stems(model, stems)
    chosen = format_for(format_name, audio.rate)
    price = catalog.price(model, audio.samples, audio.rate)
    return Offer(model, given, chosen.name, price, catalog.price_list)
