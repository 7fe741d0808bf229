"""Where the provider's files are in the answer of a prediction."""

from __future__ import annotations

from typing import Any

from infra.separators.replicate import failures
from infra.separators.replicate.offers import Offer


def addresses(offer: Offer, output: Any) -> dict[str, str]:
    """URLs by stem. output: a URI, a list or a dict of them.

    Raises ModelError ``provider_failed`` where one is missing.
    """
    return {stem: _address(stem, place, output) for stem, place in offer.places.items()}


def _address(stem: str, place: str | int | None, output: Any) -> str:
    if output is None:
        raise failures.unusable("it has no output any more", transient=True)
    found = _at(place, output)
    if not isinstance(found, str) or not found:
        where = "as a single file" if place is None else f"at {place!r}"
        raise failures.unusable(
            f"it has no {stem} {where}, only {_shape(output)}; the operator should compare "
            "SPLITSOUND_REPLICATE_MODELS with what this version of the model gives"
        )
    return found


def _at(place: str | int | None, output: Any) -> Any:
    if place is None:
        # Some models put their one file into a list.
        return output[0] if isinstance(output, list) and len(output) == 1 else output
    if isinstance(place, int):
        return output[place] if isinstance(output, list) and place < len(output) else None
    return output.get(place) if isinstance(output, dict) else None


def _shape(output: Any) -> str:
    if isinstance(output, dict):
        return f"the keys {failures.cut(', '.join(map(str, output))) or 'of nothing'}"
    if isinstance(output, list):
        return f"a list of {len(output)}"
    return "one value"
