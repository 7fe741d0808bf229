"""Writes ``bodies`` and ``operations`` from the OpenAPI document:

    python -m handlers.client.generation

``generated`` gives their texts, so that a test can tell whether they are what they should be.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

JSON = "application/json"
EVENTS = "text/event-stream"
_HERE = Path(__file__).parent
_NOTE = "Made by ``handlers.client.generation``; not edited."
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_FORMATS = {"date-time": "datetime", "date": "date"}
Schema = dict[str, Any]


def generated(document: dict[str, Any]) -> dict[str, str]:
    """The texts of the modules, by file name."""
    made = {"bodies.py": _bodies(document), "operations.py": _operations(document)}
    return {name: formatted(name, text) for name, text in made.items()}


def _bodies(document: dict[str, Any]) -> str:
    schemas: dict[str, Schema] = document["components"]["schemas"]
    sent = _sent(document, schemas)
    classes = [
        _struct(name, schema, of_request=name in sent)
        for name, schema in sorted(schemas.items())
        if "properties" in schema and not _is_problem(name)
    ]
    head = (
        f'"""What the API takes and gives. {_NOTE}\n\n'
        "Members that a later release adds to an answer are ignored, and values that it adds to\n"
        'an enumeration of one are text like the others.\n"""\n\n'
        "from __future__ import annotations\n\nfrom datetime import date, datetime\n"
        "from typing import Any, Literal\n\nfrom msgspec import UNSET, Struct, UnsetType, field\n"
    )
    return "\n\n".join([head, *classes])


def _is_problem(name: str) -> bool:
    return name.endswith("Problem") and name != "Problem"


def _sent(document: dict[str, Any], schemas: dict[str, Schema]) -> set[str]:
    """Names of the schemas that stand in bodies of requests."""
    found: set[str] = set()
    waiting = [
        content["schema"]
        for _, _, operation in _each(document)
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    while waiting:
        for name in re.findall(r"#/components/schemas/(\w+)", repr(waiting.pop())):
            if name not in found:
                found.add(name)
                waiting.append(schemas[name])
    return found


def _struct(name: str, schema: Schema, *, of_request: bool) -> str:
    options = ["frozen=True", "kw_only=True", *(["omit_defaults=True"] if of_request else [])]
    properties = schema["properties"]
    required = set(schema.get("required", ()))
    lines = [
        _field(key, value, required=key in required, of_request=of_request)
        for key, value in properties.items()
    ]
    text = f"class {name}(Struct, {', '.join(options)}):\n"
    text += _docstring(schema.get("description", name), "    ")
    return text + "\n" + "\n".join(lines or ["    pass"]) + "\n"


def _field(key: str, schema: Schema, *, required: bool, of_request: bool) -> str:
    kind = annotation(schema, literal=of_request)
    name = _name(key)
    given: str | None = None
    if not required and of_request:
        # What is left out is the server's default, whatever that is today.
        kind, given = f"{kind} | UnsetType", "UNSET"
    elif not required:
        empty = {"array": "[]", "object": "{}"}.get(str(schema.get("type")), "None")
        default = schema.get("default")
        given = repr(default) if isinstance(default, str | int | float) else empty
        if given == "None" and "None" not in kind.split(" | "):
            kind += " | None"
    elif not of_request and "None" in kind.split(" | "):
        given = "None"
    if name != key:
        told = f"default={given}, " if given else ""
        return f'    {name}: {kind} = field({told}name="{key}")'
    return f"    {name}: {kind}" + (f" = {given}" if given else "")


def annotation(schema: Schema, *, literal: bool) -> str:
    """The Python type. literal: enumerations are Literals, as in what we send."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            kinds = [annotation(each, literal=literal) for each in schema[word]]
            return " | ".join(dict.fromkeys(kinds))
    if "allOf" in schema:
        return annotation(schema["allOf"][0], literal=literal)
    if "enum" in schema and literal:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(annotation({**schema, "type": each}, literal=literal) for each in kind)
    if kind == "array":
        return f"list[{annotation(schema.get('items') or {}, literal=literal)}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        inner = annotation(values, literal=literal) if isinstance(values, dict) else "Any"
        return f"dict[str, {inner}]"
    return _FORMATS.get(schema.get("format", ""), _PLAIN.get(str(kind), "Any"))


def _operations(document: dict[str, Any]) -> str:
    methods = [_method(method, path, told) for method, path, told in _each(document)]
    names = {
        word
        for text in methods
        for word in re.findall(r"\b[A-Z]\w+", "\n".join(_code(text)))
        if word in document["components"]["schemas"]
    }
    head = (
        f'"""A method for each operation. {_NOTE}"""\n\n'
        "from __future__ import annotations\n\nfrom abc import ABC, abstractmethod\n"
        "from collections.abc import Iterator\nfrom datetime import date\n"
        "from typing import Any, Literal, TypeVar\n\n"
        "from handlers.client.bodies import (\n"
        + "".join(f"    {name},\n" for name in sorted(names))
        + ")\nfrom handlers.client.events import Event\n"
        "from handlers.client.exchange import Request, segment\n\n"
        'T = TypeVar("T")\n\n\n' + _BASE
    )
    return head + "\n" + "\n".join(methods)


_BASE = '''class Operations(ABC):
    """All that the API does. Each method raises Problem or Unreachable.

    idempotency_key: the same key and body again act once; without one each call has its own, and
    only its own tries share it.
    """

    @abstractmethod
    def _call(self, asked: Request, kind: type[T], *, signed: bool = True) -> T: ...

    @abstractmethod
    def _text(self, asked: Request) -> str: ...

    @abstractmethod
    def _bytes(self, asked: Request) -> Iterator[bytes]: ...

    @abstractmethod
    def _location(self, asked: Request) -> str: ...

    @abstractmethod
    def _listen(self, asked: Request, last_event_id: str | None) -> Iterator[Event]: ...

    @abstractmethod
    def _keyed(self, key: str | None) -> dict[str, str]: ...
'''


def _code(method: str) -> list[str]:
    """Without its docstring, whose words may be like names of bodies."""
    parts = method.split('"""')
    return [parts[0], parts[-1]]


def _each(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, operations in sorted(document["paths"].items())
        for method, operation in operations.items()
    ]


def _method(method: str, path: str, told: dict[str, Any]) -> str:
    parameters = told.get("parameters", ())
    inside = [p for p in parameters if p["in"] == "path"]
    headers = {p["name"] for p in parameters if p["in"] == "header"}
    # What a header says need not be said again.
    said = {_name(name).lower() for name in headers}
    query = [p for p in parameters if p["in"] == "query" and p["name"] not in said]
    body = _body(told)
    wanted = [f"{_name(p['name'])}: str" for p in inside]
    if body:
        wanted.append(f"body: {body}" if told["requestBody"].get("required") else
                      f"body: {body} | None = None")  # fmt: skip
    rest = [_optional(p) for p in sorted(query, key=lambda p: not p.get("required"))]
    if "Idempotency-Key" in headers:
        rest.append("idempotency_key: str | None = None")
    if "Last-Event-ID" in headers:
        rest.append("last_event_id: str | None = None")
    signature = ", ".join(["self", *wanted, *(["*", *rest] if rest else [])])
    kind, call = _call_of(told, headers)
    asked = [f'method="{method.upper()}"', f"path={_path(path)}"]
    if body:
        asked.append("body=body")
    if query:
        pairs = ", ".join(f'"{p["name"]}": {_name(p["name"])}' for p in query)
        asked.append(f"query={{{pairs}}}")
    if "Idempotency-Key" in headers:
        asked.append("headers=self._keyed(idempotency_key)")
    summary = told["summary"].rstrip(".") + "."
    return (
        f"    def {snake(told['operationId'])}({signature}) -> {kind}:\n"
        + _docstring(f"{summary}\n\n{told.get('description', '')}".strip(), "        ")
        + f"        asked = Request({', '.join(asked)})\n        {call}\n"
    )


def _body(told: dict[str, Any]) -> str:
    content = told.get("requestBody", {}).get("content", {})
    for kind, media in content.items():
        if kind == JSON:
            names = annotation(media["schema"], literal=True).split(" | ")
            return " | ".join(n for n in names if n != "None") or "Any"
        return "dict[str, str]"
    return ""


def _call_of(told: dict[str, Any], headers: set[str]) -> tuple[str, str]:
    """The type of the answer, and the call that gets it."""
    signed = "" if told.get("security") else ", signed=False"
    good = {int(s): r for s, r in told["responses"].items() if s.isdigit() and int(s) < 300}
    if not good:
        return "str", "return self._location(asked)"
    content = good[min(good)].get("content", {})
    if EVENTS in content:
        last = "last_event_id" if "Last-Event-ID" in headers else "None"
        return "Iterator[Event]", f"return self._listen(asked, {last})"
    if JSON in content:
        kind = annotation(content[JSON]["schema"], literal=False)
        return kind, f"return self._call(asked, {kind}{signed})"
    if not content:
        return "None", f"return self._call(asked, type(None){signed})"
    if next(iter(content)).startswith("text/"):
        return "str", "return self._text(asked)"
    return "Iterator[bytes]", "return self._bytes(asked)"


def _optional(parameter: dict[str, Any]) -> str:
    kind = annotation(parameter["schema"], literal=True).replace("None, ", "").replace(", None", "")
    kinds = [each for each in dict.fromkeys(kind.split(" | ")) if each != "None"]
    if parameter.get("required"):
        return f"{_name(parameter['name'])}: {' | '.join(kinds)}"
    return f"{_name(parameter['name'])}: {' | '.join(kinds)} | None = None"


def _path(path: str) -> str:
    filled = re.sub(r"{(.*?)}", lambda found: f"{{segment({_name(found[1])})}}", path)
    return f'f"{filled}"' if "{" in path else f'"{path}"'


def _name(key: str) -> str:
    name = re.sub(r"\W", "_", key)
    return name + "_" if keyword.iskeyword(name) else name


def snake(name: str) -> str:
    """``createApiKey`` as ``create_api_key``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _docstring(text: str, indent: str) -> str:
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        lines += ["", *textwrap.wrap(" ".join(paragraph.split()), 96 - len(indent))]
    told = lines[1:]
    if len(told) == 1 and len(told[0]) + len(indent) + 6 < 100:
        return f'{indent}"""{told[0]}"""\n'
    inner = "\n".join(f"{indent}{line}".rstrip() for line in told[1:])
    return f'{indent}"""{told[0]}\n{inner}\n{indent}"""\n'


def formatted(name: str, text: str) -> str:
    """As ruff writes it, without imports that nothing needs."""
    ruff = [sys.executable, "-m", "ruff"]
    place = ["--stdin-filename", str(_HERE / name), "-"]
    unused = [*ruff, "check", "--fix", "--quiet", "--exit-zero", *place]
    for each in (unused, [*ruff, "format", *place]):
        done = subprocess.run(each, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def main() -> None:
    """Write the modules."""
    from handlers.api.contract import contract

    for name, text in generated(contract()).items():
        (_HERE / name).write_text(text)


if __name__ == "__main__":
    main()
