"""File names as users see them: taken in without their folders, given out with the stem."""

from __future__ import annotations

import unicodedata

from domain.errors import Invalid

MAX_LENGTH = 255


def clean(filename: str) -> str:
    """The last component of a path of any system, without control characters.

    Raises Invalid when nothing is left, or more than MAX_LENGTH characters.
    """
    last = filename.replace("\\", "/").rpartition("/")[2]
    # Format characters go too: some of them make a name read otherwise than it is.
    name = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs")).strip()
    if name in ("", ".", ".."):
        raise Invalid("The upload needs a file name.", errors=[_at("Name a file.")])
    if len(name) > MAX_LENGTH:
        raise Invalid(
            f"A file name has at most {MAX_LENGTH} characters.",
            errors=[_at(f"It has {len(name)} characters; at most {MAX_LENGTH} are allowed.")],
        )
    return name


def of_stem(filename: str, stem: str, extension: str) -> str:
    """``Song - vocals.flac`` for the vocals of ``Song.mp3``."""
    name, dot, _ = filename.rpartition(".")
    return f"{name if dot and name else filename} - {stem}.{extension}"


def _at(detail: str) -> dict[str, str]:
    return {"pointer": "#/filename", "detail": detail}
