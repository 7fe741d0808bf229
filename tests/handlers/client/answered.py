"""Whole answers of the API from the few members that a test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")


def document(kind: type[Any], **given: Any) -> dict[str, Any]:
    """The answer as JSON; members that are not given are empty."""
    fields: Any = inspect.type_info(kind)
    told = {each.encode_name: _empty(each) for each in fields.fields if each.required}
    return {**told, **msgspec.to_builtins(given)}


def whole(kind: type[T], **given: Any) -> T:
    """The same, decoded."""
    return msgspec.convert(document(kind, **given), kind)


def _empty(field: Any) -> Any:
    match field.type:
        case inspect.StrType():
            return ""
        case inspect.IntType() | inspect.FloatType():
            return 0
        case inspect.BoolType():
            return False
        case inspect.ListType():
            return []
        case inspect.DictType():
            return {}
        case inspect.DateTimeType():
            return datetime(2026, 11, 29, tzinfo=UTC).isoformat()
        case inspect.StructType(cls=kind):
            return document(kind)
    raise NotImplementedError(field.type)
