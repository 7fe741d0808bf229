"""File names as users see them: taken in without their folders, given out with the stem."""

from __future__ import annotations

import unicodedata

from domain.errors import Invalid

MAX_LENGTH = 255
BASE_BYTES = 200
"""How much of a name is kept where more is added to it: file systems take 255 bytes in all."""


def clean(filename: str, field: str = "filename") -> str:
    """The last component of a path of any system, without control characters.

    field: of the request, for errors. Raises Invalid when nothing is left, or more than
    MAX_LENGTH characters.
    """
    name = printable(filename.replace("\\", "/").rpartition("/")[2]).strip()
    if name in ("", ".", ".."):
        raise Invalid("The upload needs a file name.", errors=[_at(field, "Name a file.")])
    if len(name) > MAX_LENGTH:
        raise Invalid(
            f"A file name has at most {MAX_LENGTH} characters.",
            errors=[_at(field, f"It has {len(name)}; at most {MAX_LENGTH} are allowed.")],
        )
    return name


def printable(name: str) -> str:
    """``name`` without control characters and what is no character at all."""
    # Format characters go too: some of them make a name read otherwise than it is.
    return "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def shortened(name: str, most: int = BASE_BYTES) -> str:
    """The beginning of ``name`` that fits into so many bytes of UTF-8, in whole characters."""
    encoded = name.encode()
    return name if len(encoded) <= most else encoded[:most].decode(errors="ignore").rstrip()


def of_stem(filename: str, stem: str, extension: str) -> str:
    """``Song - no vocals.flac`` for ``no_vocals`` of ``Song.mp3``."""
    name, dot, _ = filename.rpartition(".")
    words = stem.replace("_", " ")
    return f"{shortened(name if dot and name else filename)} - {words}.{extension}"


def _at(field: str, detail: str) -> dict[str, str]:
    return {"pointer": f"#/{field}", "detail": detail}
