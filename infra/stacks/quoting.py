"""``python -m infra.stacks.quoting NAME=VALUE``: a parameter as ``sam deploy`` reads it.

Bare, sam takes no empty value and ends one at a space. In quotes it takes away only backslashes
that stand before a quote or a space, so those get one and backslashes do not. Single quotes,
because JSON has backslashes before double ones; what no quotes can hold is a backslash before a
single quote, or at the end.
"""

from __future__ import annotations

import re
import sys


def quoted(assignment: str) -> str:
    """The argument for ``--parameter-overrides``."""
    name, _, value = assignment.partition("=")
    escaped = re.sub("[\"' ]", r"\\\g<0>", value)
    return f"{name}='{escaped}'"


if __name__ == "__main__":
    sys.stdout.write(quoted(sys.argv[1]) + "\n")
