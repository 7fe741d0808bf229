"""What only the document of a running deployment says: names that are its own to choose.

The contract leaves them open, for what is on offer changes without a release; whoever asks this
API is told what it takes today.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domain.audio import FORMATS
from domain.stems import outputs
from infra.bootstrap import Application


def name(document: dict[str, Any], application: Application) -> None:
    """Add them, in place."""
    schemas = document["components"]["schemas"]
    models = application.catalog.models
    stems = {stem: None for model in models.values() for stem in outputs(model.stems)}
    _enumerate(schemas["Order"]["properties"]["pack"], application.packs)
    # Not of JobWish: in a batch what is wrong with one job is told in its place.
    asked = schemas["JobBody"]["properties"]
    _enumerate(asked["model"], models)
    _enumerate(asked["format"], FORMATS)
    _enumerate(asked["stems"], stems)


def _enumerate(schema: dict[str, Any], names: Iterable[str]) -> None:
    """Of a text, of each text in a list, or of either that may be null."""
    known = list(names)
    for way in schema.get("anyOf", [schema]):
        if way.get("type") == "string" and known:
            way["enum"] = known
        elif way.get("type") == "array":
            _enumerate(way["items"], known)
