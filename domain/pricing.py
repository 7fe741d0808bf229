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


def require_quoted(price: int, price_list: str, quoted: Quoted | None) -> None:
    """Raises PriceChanged unless that is what was quoted, or nothing was."""
    if quoted and quoted != Quoted(price, price_list):
        raise PriceChanged(
            f"The quote said {quoted.price} credits by price list {quoted.price_list}; by "
            f"{price_list} it is {price}. Nothing was reserved; ask for a new quote.",
            price=price,
            price_list=price_list,
        )


def offer(
    catalog: Catalog,
    audio: Audio,
    model: str | None,
    stems: tuple[str, ...],
    format_name: str,
    prompt: str | None = None,
) -> Offer:
    """The offer for that audio; no model named: the default one; no stem: all of the model's.

    Raises UnknownModel, UnknownStem, UnsupportedFormat; Invalid for a prompt out of place.
    """
    chosen = catalog.choose(model, prompt).name
    given = catalog.stems(chosen, stems)
    carried = format_for(format_name, audio.rate)
    price = catalog.price(chosen, audio.samples, audio.rate)
    return Offer(chosen, given, carried.name, price, catalog.price_list)
