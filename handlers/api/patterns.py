"""What a text has to look like, for the document alone; the commands judge by their own words.

What JSON Schema calls blank is not what Python strips, so classes are spelled out. They
go as far as 16 bits: of the rarer characters that cannot be seen the document says nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import groupby

from domain.filenames import MAX_LENGTH

_16_BITS = 0x10000
# RFC 3629: half of a character is none, and no JSON has one.
_HALVES = range(0xD800, 0xE000)


def id_of(prefix: str) -> str:
    """An id of ours."""
    return f"^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$"


def stream_of(category: str, prefix: str) -> str:
    """The name of a stream that belongs to an id."""
    return f"^{category}-{id_of(prefix)[1:]}"


def _class(fits: Callable[[str], bool]) -> str:
    """The inside of ``[...]``: every character that fits, in ranges."""
    places = [n for n in range(_16_BITS) if n not in _HALVES and fits(chr(n))]
    runs = [[n for _, n in run] for _, run in groupby(enumerate(places), lambda p: p[1] - p[0])]
    return "".join(_escaped(r[0]) + (f"-{_escaped(r[-1])}" if len(r) > 1 else "") for r in runs)


def _escaped(place: int) -> str:
    return f"\\u{place:04x}"


def _dropped(character: str) -> bool:
    # As domain.filenames.printable does.
    return unicodedata.category(character) in ("Cc", "Cf")


BLANKS = _class(str.isspace)
_UNSEEN = _class(lambda c: c.isspace() or _dropped(c))
_GAPS = _class(lambda c: c.isspace() and not _dropped(c))

NOT_BLANK = f"[^{BLANKS}]"
"""Something is left when the space around it is gone."""
VISIBLE = f"[^{_UNSEEN}]"
"""The same, when what cannot be seen is gone as well."""
FILENAME = (
    rf"(^|[/\\])(?=[^/\\]{{1,{MAX_LENGTH}}}$)[^/\\]*"
    rf"([^{_UNSEEN}./\\]|\.[^/\\]*(\.[^/\\]*\.|[{_GAPS}][^/\\]*\.))[^/\\]*$"
)
"""A path whose last step is a name: not too long, and neither nothing nor one or two dots."""
WEB_ADDRESS = "^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$"
