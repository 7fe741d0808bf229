"""The generated part of the client is what the API's document says today, and all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.api.contract import contract
from handlers.client import generation
from handlers.client.client import Client


@pytest.fixture(scope="module")
def document() -> dict[str, object]:
    return contract()


def test_it_is_what_the_document_says(document: dict[str, object]) -> None:
    for name, text in generation.generated(document).items():
        there = (Path(generation.__file__).parent / name).read_text()
        assert there == text, f"{name} is of another document: python -m handlers.client.generation"


def test_there_is_a_method_for_each_operation() -> None:
    operations = [
        operation["operationId"]
        for path in contract()["paths"].values()
        for operation in path.values()
    ]
    assert len(operations) == len(set(operations))
    missing = [o for o in operations if not callable(getattr(Client, generation.snake(o), None))]
    assert missing == []


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "str"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int | None"),
        ({"type": ["null", "string"]}, "None | str"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Job"}}, "list[Job]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"enum": ["a", "b"], "type": "string"}, "Literal['a', 'b']"),
        ({}, "Any"),
    ],
)
def test_schemas_as_types(schema: dict[str, object], kind: str) -> None:
    assert generation.annotation(schema, literal=True) == kind


def test_no_two_bodies_have_one_name() -> None:
    assert [name for name in contract()["components"]["schemas"] if not name.isidentifier()] == []
