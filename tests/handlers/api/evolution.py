"""What a client of an older OpenAPI document would suffer from a newer one.

Requests must stay acceptable: nothing that was taken is refused. Answers must stay readable:
nothing that was promised is missing or of another type. What is added breaks nobody: operations,
optional members and parameters, members of answers, problem codes and values of enumerations in
answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.handlers.api.documented import events_of

Schema = dict[str, Any]
_LOWEST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_HIGHEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_SAME = ("pattern", "format")


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What breaks, each by its place; nothing where the newer document only adds."""
    request, answer = _Comparison(old, new, sent=True), _Comparison(old, new, sent=False)
    return [
        f"{method.upper()} {path}: {what}"
        for path, operations in old["paths"].items()
        for method, operation in operations.items()
        for what in _operation(operation, new["paths"].get(path, {}).get(method), request, answer)
    ]


def _operation(
    before: dict[str, Any],
    after: dict[str, Any] | None,
    request: _Comparison,
    answer: _Comparison,
) -> Iterator[str]:
    if after is None:
        yield "is gone"
        return
    if before["operationId"] != after["operationId"]:
        yield f"is called {after['operationId']}, no more {before['operationId']}"
    yield from _security(before.get("security", []), after.get("security", []))
    yield from _parameters(before, after, request)
    yield from _bodies(before.get("requestBody"), after.get("requestBody"), request)
    for status, told in before["responses"].items():
        yield from _response(status, told, after["responses"].get(status), answer)
    for status in sorted(after["responses"].keys() - before["responses"].keys()):
        if status < "300":
            yield f"answers {status} too, which clients do not expect"


def _security(before: list[Schema], after: list[Schema]) -> Iterator[str]:
    if not before and after:
        yield "needs credentials now"
    for way in before:
        if after and way not in after:
            yield f"no more takes {way}"


def _parameters(
    before: dict[str, Any], after: dict[str, Any], comparison: _Comparison
) -> Iterator[str]:
    was = {(p["in"], p["name"]): p for p in before.get("parameters", ())}
    now = {(p["in"], p["name"]): p for p in after.get("parameters", ())}
    for key, parameter in was.items():
        name = f"{key[0]} parameter {key[1]}"
        if key not in now:
            yield f"{name} is gone"
            continue
        if now[key].get("required") and not parameter.get("required"):
            yield f"{name} is required now"
        schema = _present(now[key]["schema"])
        if key[0] == "path" and "pattern" not in parameter["schema"]:
            # How ids look can be told later: any other text was, and is, a 404.
            schema = {word: told for word, told in schema.items() if word != "pattern"}
        for what in comparison.of(_present(parameter["schema"]), schema):
            yield f"{name}{what}"
    for key, parameter in now.items():
        if key not in was and parameter.get("required"):
            yield f"{key[0]} parameter {key[1]} is new and required"


def _present(schema: Schema) -> Schema:
    """Without null, which nothing outside of a body can be."""
    ways = [each for each in _ways(schema) if each.get("type") != "null"]
    return ways[0] if len(ways) == 1 else schema


def _bodies(
    before: dict[str, Any] | None, after: dict[str, Any] | None, comparison: _Comparison
) -> Iterator[str]:
    if before is None:
        if after and after.get("required"):
            yield "needs a body now"
        return
    if after is None:
        yield "takes no body any more"
        return
    if after.get("required") and not before.get("required"):
        yield "needs its body now"
    for kind, media in before["content"].items():
        if kind not in after["content"]:
            yield f"no more takes {kind}"
            continue
        for what in comparison.of(media["schema"], after["content"][kind]["schema"]):
            yield f"body{what}"


def _response(
    status: str, before: dict[str, Any], after: dict[str, Any] | None, comparison: _Comparison
) -> Iterator[str]:
    if after is None:
        yield f"no more answers {status}"
        return
    for header, told in before.get("headers", {}).items():
        now = after.get("headers", {}).get(header)
        if now is None:
            yield f"{status} lacks the header {header}"
        elif told.get("required") and not now.get("required"):
            yield f"{status} need not have the header {header} any more"
    for kind, media in before.get("content", {}).items():
        if kind not in after.get("content", {}):
            yield f"{status} is no more sent as {kind}"
            continue
        for what in _answered(media, after["content"][kind], comparison):
            yield f"{status}{what}"


def _answered(
    before: dict[str, Any], after: dict[str, Any], comparison: _Comparison
) -> Iterator[str]:
    if "x-itemSchema" not in before:
        yield from comparison.of(before["schema"], after["schema"])
        return
    was, now = events_of(before), events_of(after)  # a new one breaks nobody
    for name, schema in was.items():
        if name not in now:
            yield f" no more sends {name}"
            continue
        for what in comparison.of(schema, now[name]):
            yield f" {name}{what}"


class _Comparison:
    """Of schemas. sent: by clients, so that the newer one may not be narrower; else received by
    them, so that it may not be wider.
    """

    def __init__(self, old: Schema, new: Schema, *, sent: bool) -> None:
        self._old, self._new, self._sent = old, new, sent
        # By the names of both; of a schema within itself nothing is found twice.
        self._known: dict[tuple[str, str], list[str]] = {}

    def of(self, before: Schema, after: Schema) -> list[str]:
        """What breaks, each with its place in front."""
        pair = (before.get("$ref", ""), after.get("$ref", ""))
        if not all(pair):
            return list(self._compare(_plain(before, self._old), _plain(after, self._new)))
        if pair not in self._known:
            self._known[pair] = []
            self._known[pair] = list(
                self._compare(_plain(before, self._old), _plain(after, self._new))
            )
        return self._known[pair]

    def _compare(self, before: Schema, after: Schema) -> Iterator[str]:
        ways, ways_now = _ways(before), _ways(after)
        if len(ways) > 1 or len(ways_now) > 1:
            yield from self._alternatives(ways, ways_now)
            return
        yield from self._kind(before, after)
        yield from self._limits(before, after)
        yield from self._members(before, after)
        for word in ("items", "additionalProperties"):
            was, now = before.get(word), after.get(word)
            if isinstance(was, dict) and isinstance(now, dict):
                for what in self.of(was, now):
                    yield f"/{'*' if word == 'additionalProperties' else '[]'}{what}"

    def _alternatives(self, before: list[Schema], after: list[Schema]) -> Iterator[str]:
        needing, having = (before, after) if self._sent else (after, before)
        for each in needing:
            tried = [self.of(each, o) if self._sent else self.of(o, each) for o in having]
            if not any(found == [] for found in tried):
                # The nearest tells best what is wrong.
                yield from min(tried, key=len, default=[" is another type"])

    def _kind(self, before: Schema, after: Schema) -> Iterator[str]:
        was, now = before.get("type"), after.get("type")
        wide, narrow = (now, was) if self._sent else (was, now)
        if wide is not None and wide != narrow and (wide, narrow) != ("number", "integer"):
            yield f" was {was}, is {now}"
        choices, choices_now = _choices(before), _choices(after)
        if choices is None and choices_now is None:
            return
        if self._sent:
            gone = choices_now is not None and (choices is None or choices - choices_now)
            if gone:
                yield f" no more takes {sorted(gone) if gone is not True else 'any value'}"
        elif choices is not None and choices_now is not None and (lost := choices - choices_now):
            yield f" no more tells {sorted(lost)}"

    def _limits(self, before: Schema, after: Schema) -> Iterator[str]:
        if not self._sent:
            for word in _SAME:
                if word in before and before[word] != after.get(word):
                    yield f" {word} was {before[word]}, is {after.get(word)}"
            return
        for word in _LOWEST:
            if after.get(word, float("-inf")) > before.get(word, _nothing(word)):
                yield f" {word} was {before.get(word)}, is {after[word]}"
        for word in _HIGHEST:
            if after.get(word, float("inf")) < before.get(word, float("inf")):
                yield f" {word} was {before.get(word)}, is {after[word]}"
        for word in _SAME:
            if word in after and after[word] != before.get(word):
                yield f" {word} was {before.get(word)}, is {after[word]}"

    def _members(self, before: Schema, after: Schema) -> Iterator[str]:
        was, now = before.get("properties", {}), after.get("properties", {})
        closed = after.get("additionalProperties") is False
        if self._sent and closed and before.get("additionalProperties") is not False and was:
            yield " refuses unknown members now"
        for name, schema in was.items():
            if name in now:
                for what in self.of(schema, now[name]):
                    yield f"/{name}{what}"
            elif closed or not self._sent:
                yield f"/{name} is gone"
        required, required_now = set(before.get("required", ())), set(after.get("required", ()))
        if self._sent:
            yield from (f"/{name} is required now" for name in sorted(required_now - required))
        else:
            yield from (f"/{name} may be missing" for name in sorted(required - required_now))


def _nothing(word: str) -> float:
    return 0 if word.startswith("min") and word != "minimum" else float("-inf")


def _plain(schema: Schema, document: Schema) -> Schema:
    """Without references, and with what ``allOf`` adds in one."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _plain(document["components"]["schemas"][name], document)
    if "allOf" not in schema:
        return schema
    whole: Schema = {}
    for part in [*schema["allOf"], {k: v for k, v in schema.items() if k != "allOf"}]:
        plain = _plain(part, document)
        properties = dict(whole.get("properties", {}))
        for name, told in plain.get("properties", {}).items():
            properties[name] = {**properties.get(name, {}), **told}
        required = [*whole.get("required", ()), *plain.get("required", ())]
        whole = {**whole, **plain, "properties": properties, "required": required}
    return whole


def _ways(schema: Schema) -> list[Schema]:
    """The alternatives, each of one type."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {k: v for k, v in schema.items() if k != word}
            return [{**rest, **each} for each in schema[word]]
    kinds = schema.get("type")
    if not isinstance(kinds, list):
        return [schema]
    split = []
    for kind in kinds:
        one = {**schema, "type": kind}
        if "enum" in one:
            values = [v for v in one["enum"] if (v is None) == (kind == "null")]
            one = {**one, "enum": values} if kind != "null" else {"type": "null"}
        split.append(one)
    return split


def _choices(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None
