"""The OpenAPI document without a running API: ``python -m handlers.api.contract`` prints it.

What is generated from it, and what holds it to the last release, needs no cloud for that.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from handlers.api.app import create_app
from handlers.api.openapi import document
from infra.bootstrap import Application
from infra.settings import Settings


def contract() -> dict[str, Any]:
    """The document of a deployment that has everything switched on that has routes."""
    nowhere: dict[str, Any] = {
        field.name: "nowhere"
        for field in msgspec.structs.fields(Settings)
        if field.required and field.name != "keys"
    }
    settings = Settings(**nowhere, keys=Path("nowhere"))
    return document(create_app(Application(settings, "contract")))


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(contract()), indent=2).decode() + "\n")
