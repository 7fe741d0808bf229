"""``python -m tests.handlers.api.release``: the document of today is the released one from now on.

Run it when a version is released, not to silence a test. What clients were promised until then
may be taken back only by a new major version of the API.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from handlers.api.contract import contract

RELEASED = Path(__file__).with_name("released.json")


def released() -> dict[str, Any]:
    """The document of the last release, without examples."""
    found: dict[str, Any] = msgspec.json.decode(RELEASED.read_bytes())
    return found


def _without_examples(told: Any) -> Any:
    if isinstance(told, list):
        return [_without_examples(each) for each in told]
    if isinstance(told, dict):
        return {k: _without_examples(v) for k, v in told.items() if k != "examples"}
    return told


if __name__ == "__main__":
    document = _without_examples(contract())
    RELEASED.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
