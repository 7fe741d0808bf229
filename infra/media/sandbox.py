"""How a program is started confined: the parent's half of ``confined``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

_LAUNCHER = str(Path(__file__).with_name("confined.py"))


def confined(
    command: list[str], *, read: Iterable[Path] = (), write: Iterable[Path] = ()
) -> list[str]:
    """The command, to be run by the launcher."""
    del read, write
    return [sys.executable, "-I", "-S", _LAUNCHER, str(os.getpid()), "--", *command]
