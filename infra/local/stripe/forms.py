"""Forms as Stripe takes them: nested names in, checked Structs out, Stripe's errors else."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from infra.local.stripe.errors import Refused

P = TypeVar("P", bound=Struct)

_MAX_PAIRS = 500
_MAX_DEPTH = 6
_KEY = re.compile(r"[^\[\]]+|\[[^\[\]]*\]")
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"field `(?P<name>[^`]*)`")


def nested(text: str) -> dict[str, Any]:
    """``a[b][0]=c`` as ``{"a": {"b": ["c"]}}``. Raises Refused for what is not such a form."""
    found: dict[str, Any] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_PAIRS, errors="strict")
    except ValueError as error:
        raise Refused(f"The form cannot be read: {error}.") from error
    for name, value in pairs:
        keys = [part.strip("[]") for part in _KEY.findall(name)]
        if not keys or len(keys) > _MAX_DEPTH:
            raise Refused(f"Invalid parameter name: {name[:100]}", param=name[:100])
        _put(found, keys, value, name)
    return {name: _with_lists(value, name) for name, value in found.items()}


def _put(found: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    at = found
    for key in keys[:-1]:
        at = at.setdefault(key, {})
        if not isinstance(at, dict):
            raise Refused(f"Invalid parameter name: {name[:100]}", param=name[:100])
    # ``a[]=x&a[]=y`` numbers itself.
    at[keys[-1] or str(len(at))] = value


def _with_lists(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(one, key) for key, one in value.items()}
    # A caller's own keys may be numbers.
    if name != "metadata" and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def checked(given: dict[str, Any], expected: type[P]) -> P:
    """``given`` as that Struct. Raises Refused in Stripe's words."""
    try:
        return msgspec.convert(given, expected, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def _refusal(said: str) -> Refused:
    match = _PATH.match(said)
    what, path = (match["what"], match["path"] or "") if match else (said, "")
    if field := _FIELD.search(what):
        param = _bracketed(f"{path}.{field['name']}".strip("."))
        if "unknown" in what:
            hint = "; the local stand-in knows only a part of Stripe's"
            return Refused(
                f"Received unknown parameter: {param}{hint}", code="parameter_unknown", param=param
            )
        return Refused(f"Missing required param: {param}.", code="parameter_missing", param=param)
    code = "parameter_invalid_integer" if "`int`" in what else "parameter_invalid"
    return Refused(f"Invalid {_bracketed(path)}: {what}", code=code, param=_bracketed(path))


def _bracketed(path: str) -> str:
    """``line_items[0].quantity`` as Stripe writes it: ``line_items[0][quantity]``."""
    first, *rest = path.split(".")
    return first + "".join(
        f"[{name}]{index and '['}{index}" for name, index in (_split(one) for one in rest)
    )


def _split(name: str) -> tuple[str, str]:
    before, _, after = name.partition("[")
    return before, after
