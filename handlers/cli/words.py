"""Words for people: counts, names of files that may be anything, and commands to type."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import unicodedata
from pathlib import Path

_NAME = "splitsound"
_STRANGE = "\N{REPLACEMENT CHARACTER}"


def counted(number: int, noun: str) -> str:
    """``1 stream``, ``2 streams``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def safe(text: str, keep: str = "") -> str:
    """``text`` without what a terminal would obey or could not encode, but for ``keep``."""
    if text.isascii() and text.isprintable():
        return text  # nearly always, and quicker than a look at each character
    # Format characters too: some make a text read otherwise than it is.
    return "".join(c if c in keep or not _strange(c) else _STRANGE for c in text)


def _strange(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs")


def plain(path: str | os.PathLike[str]) -> str:
    """A path as it may stand in JSON: bytes that are no UTF-8 are replaced."""
    return os.fsencode(path).decode(errors="replace")


def named(path: str | os.PathLike[str]) -> str:
    """A path as it may stand in a sentence on a terminal."""
    return safe(plain(path))


def program() -> str:
    """What to type for this program: its name where the shell finds it, else its path."""
    own = Path(sys.argv[0])
    if own.name != _NAME or not own.exists():
        own = Path(sys.executable).with_name(_NAME)
    found = shutil.which(_NAME)
    if found and Path(found).resolve() == own.resolve():
        return _NAME
    path, here = own.absolute(), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def command_line(*arguments: str, **options: object) -> str:
    """A command line to copy; options that are None or empty are left out."""
    typed = [_quoted(each) for each in arguments]
    typed += [f"--{name} {_quoted(str(value))}" for name, value in options.items() if value]
    return " ".join([program(), *typed])


def _quoted(argument: str) -> str:
    if safe(argument) == argument:
        return shlex.quote(argument)
    # What cannot be printed is written as the shell reads it.
    octets = os.fsencode(argument)
    plainly = (chr(b) if 0x20 <= b < 0x7F and b not in b"'\\" else f"\\x{b:02x}" for b in octets)
    return f"$'{''.join(plainly)}'"
