"""Why an operator stepped in: kept with the fact, and for people to read."""

from __future__ import annotations

from domain.errors import Invalid

MAX_CHARACTERS = 500


def stated(reason: str) -> str:
    """The reason without the space around it. Raises Invalid unless it has 1..500 characters."""
    said = reason.strip()
    if not 0 < len(said) <= MAX_CHARACTERS:
        raise Invalid(
            f"A reason of 1 to {MAX_CHARACTERS} characters is needed; this one has {len(said)}."
        )
    return said
