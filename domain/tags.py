"""Tags as users put them on their uploads."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from domain import filenames
from domain.errors import Invalid

MOST, LONGEST = 20, 50


def normalised(given: Sequence[str]) -> tuple[str, ...]:
    """Trimmed, in NFC, each once (whatever its case), in the order given. Raises Invalid."""
    found: dict[str, str] = {}
    for place, text in enumerate(given):
        tag = filenames.printable(unicodedata.normalize("NFC", text)).strip()
        if not 0 < len(tag) <= LONGEST:
            raise Invalid(
                f"A tag has 1 to {LONGEST} characters.",
                errors=[{"pointer": f"#/tags/{place}", "detail": "Empty, or too long."}],
            )
        found.setdefault(tag.casefold(), tag)
    if len(found) > MOST:
        raise Invalid(
            f"An upload has at most {MOST} tags.",
            errors=[{"pointer": "#/tags", "detail": f"{len(found)} tags."}],
        )
    return tuple(found.values())
