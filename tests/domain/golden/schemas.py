"""What stored events may look like, and whether today's classes still read all of it.

Schemas are msgspec's JSON schemas, with references resolved, and the field names of Structs
that are stored as arrays, which JSON Schema does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from domain.aggregate import Event
from domain.aggregates import BY_CATEGORY

Schema = dict[str, Any]

# What narrows the values of a type; dropping one is a widening.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("multipleOf", "pattern", "format", "contentEncoding")


def current() -> dict[str, Schema]:
    """By tag, the schema of every event of every aggregate."""
    return by_tag(event for a in BY_CATEGORY.values() for event in a.events)


def by_tag(events: Iterable[type[Event]]) -> dict[str, Schema]:
    """By tag, the schemas of these classes."""
    return {str(e.__struct_config__.tag): _schema(e) for e in events}


def _schema(event: type[Event]) -> Schema:
    (place,), named = msgspec.json.schema_components([event], ref_template="{name}")
    arrays = {
        t.cls.__name__: [field.name for field in t.fields]
        for t in _structs(msgspec.inspect.type_info(event))
        if t.array_like
    }
    plain: Schema = msgspec.json.decode(msgspec.json.encode(_resolved(place, named, arrays)))
    return plain


def _resolved(part: Any, named: dict[str, Schema], arrays: dict[str, list[str]]) -> Any:
    if isinstance(part, list):
        return [_resolved(each, named, arrays) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        name = part["$ref"]
        fields = {"fields": arrays[name]} if name in arrays else {}
        return _resolved(named[name], named, arrays) | fields
    # Titles and descriptions are for people and may change.
    kept = {k: v for k, v in part.items() if k not in ("title", "description")}
    if "properties" in kept:
        fields = {k: _resolved(v, named, arrays) for k, v in kept["properties"].items()}
        return {**kept, "properties": fields}
    return {k: _resolved(v, named, arrays) for k, v in kept.items()}


def _structs(node: Any) -> Iterator[msgspec.inspect.StructType]:
    """The Structs in a type, itself included."""
    if isinstance(node, msgspec.inspect.StructType):
        yield node
    if isinstance(node, tuple):
        for each in node:
            yield from _structs(each)
    elif isinstance(node, Struct):
        for name in node.__struct_fields__:
            yield from _structs(getattr(node, name))


def incompatibilities(recorded: dict[str, Schema], current: dict[str, Schema]) -> list[str]:
    """Why events stored under the recorded schemas would not be read as they were meant."""
    found = []
    for tag, old in recorded.items():
        if tag not in current:
            found.append(f"{tag}: no class has this tag any more; keep it, with an upcast().")
        else:
            found += [f"{tag}{problem}" for problem in _narrowed(old, current[tag])]
    return found


def _narrowed(old: Schema, new: Schema) -> Iterator[str]:
    """Values that the old schema allows and the new one refuses or would take otherwise."""
    olds, news = old.get("anyOf", [old]), new.get("anyOf", [new])
    for each in olds:
        attempts = [list(_one_narrowed(each, other)) for other in news]
        if all(attempts):
            yield from min(attempts, key=len)


def _one_narrowed(old: Schema, new: Schema) -> Iterator[str]:
    if not new:
        return  # anything goes
    yield from _values_narrowed(old, new)
    kinds = old.get("type"), new.get("type")
    if kinds[0] != kinds[1] and kinds != ("integer", "number"):
        yield f": was {kinds[0] or 'anything'} and is {kinds[1] or 'an enumeration'}."
    elif kinds[0] == "object":
        yield from _object_narrowed(old, new)
    elif kinds[0] == "array":
        yield from _array_narrowed(old, new)


def _values_narrowed(old: Schema, new: Schema) -> Iterator[str]:
    if "enum" in new and not set(old.get("enum", [object()])) <= set(new["enum"]):
        yield f": takes only {new['enum']} and took {old.get('enum', 'others')}."
    for key in (*_LOWER, *_UPPER, *_EXACT):
        if key not in new or new[key] == old.get(key):
            continue
        lower = key in _LOWER and key in old and new[key] < old[key]
        upper = key in _UPPER and key in old and new[key] > old[key]
        if not (lower or upper):
            yield f": {key} is {new[key]} and was {old.get(key, 'not set')}."


def _object_narrowed(old: Schema, new: Schema) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f".{name}: is required, and stored events may lack it; give it a default."
    for name, schema in before.items():
        if name not in after:
            yield f".{name}: is gone, and what stored events say in it would be lost."
            continue
        yield from (f".{name}{problem}" for problem in _narrowed(schema, after[name]))
        if "default" in schema and schema["default"] != after[name].get("default", schema):
            yield f".{name}: another default changes what stored events without it say."
    others = old.get("additionalProperties"), new.get("additionalProperties")
    if others[1] is False and others[0] is not False:
        yield ": refuses fields that it does not know, and took them."
    elif isinstance(others[0], dict) and isinstance(others[1], dict):
        yield from (f".*{problem}" for problem in _narrowed(others[0], others[1]))


def _array_narrowed(old: Schema, new: Schema) -> Iterator[str]:
    before, after = old.get("prefixItems", []), new.get("prefixItems", [])
    names = old.get("fields", []), new.get("fields", [])
    if names[0] != names[1][: len(names[0])]:
        yield f": its places mean {names[1]} and meant {names[0]}."
        return
    if len(after) < len(before):
        yield f": has {len(after)} places and had {len(before)}."
    for number, (was, is_now) in enumerate(zip(before, after, strict=False)):
        yield from (f"[{number}]{problem}" for problem in _narrowed(was, is_now))
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from (f"[]{problem}" for problem in _narrowed(old["items"], new["items"]))
