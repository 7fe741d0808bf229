"""Read ``template.yaml`` and turn its expressions into plain values.

This knows the few CloudFormation functions that the template uses, and no defaults of
CloudFormation's: what it does not know it refuses, so that the local stack never differs
silently from the one on AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from infra.local.errors import TemplateRefused

Attributes = Mapping[str, Mapping[str, str]]
"""Per created resource: what ``Ref`` and each ``GetAtt`` of it give."""

_NOTHING = object()
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


class Declaration(Struct, frozen=True):
    """One resource of the template, its properties not yet resolved."""

    name: str
    type: str
    properties: dict[str, Any]
    needs: frozenset[str]


class Template:
    """A template with its parameters decided.

    ``pseudo`` gives ``AWS::Region`` and the like. Raises TemplateRefused for a parameter that is
    missing, unknown, or outside what its declaration allows.
    """

    def __init__(
        self, document: Mapping[str, Any], parameters: Mapping[str, str], pseudo: Mapping[str, str]
    ) -> None:
        self._document = document
        self._values = _parameters(document.get("Parameters", {}), parameters) | dict(pseudo)
        self._conditions = document.get("Conditions", {})
        self.outputs: dict[str, Any] = {
            name: output["Value"]
            for name, output in document.get("Outputs", {}).items()
            if "Condition" not in output or self._holds(output["Condition"])
        }

    @classmethod
    def load(cls, path: Path, parameters: Mapping[str, str], pseudo: Mapping[str, str]) -> Template:
        """Read the file at ``path``."""
        try:
            # The loader is a SafeLoader; the rule knows only the stock names.
            document = yaml.load(path.read_text(encoding="utf-8"), Loader=CloudFormationLoader)  # noqa: S506
        except (OSError, yaml.YAMLError) as error:
            raise TemplateRefused(f"Cannot read {path}: {error}") from error
        return cls(document, parameters, pseudo)

    def in_order(self) -> list[Declaration]:
        """The resources whose condition holds, each after those that it refers to."""
        waiting = {declared.name: declared for declared in self._declared()}
        ordered: list[Declaration] = []
        while waiting:
            ready = [d for d in waiting.values() if not d.needs & waiting.keys()]
            if not ready:
                raise TemplateRefused(f"These resources refer to each other: {sorted(waiting)}.")
            ordered += ready
            for declared in ready:
                del waiting[declared.name]
        return ordered

    def resolve(self, value: Any, attributes: Attributes) -> Any:
        """``value`` with every expression replaced by what it stands for."""
        resolved = self._resolve(value, attributes)
        return None if resolved is _NOTHING else resolved

    def _declared(self) -> Iterator[Declaration]:
        resources = self._document["Resources"]
        for name, body in resources.items():
            if "Condition" in body and not self._holds(body["Condition"]):
                continue
            properties = body.get("Properties", {})
            depends = body.get("DependsOn", [])
            explicit = {depends} if isinstance(depends, str) else set(depends)
            needs = (explicit | set(_references(properties))) & resources.keys()
            yield Declaration(name, body["Type"], properties, frozenset(needs))

    def _resolve(self, value: Any, attributes: Attributes) -> Any:
        if isinstance(value, list):
            items = [self._resolve(item, attributes) for item in value]
            return [item for item in items if item is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument, attributes)
        members = {key: self._resolve(member, attributes) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not _NOTHING}

    def _call(self, function: str, argument: Any, attributes: Attributes) -> Any:
        match function:
            case "Ref":
                return self._ref(argument, attributes)
            case "Fn::GetAtt":
                return _attribute(attributes, *argument)
            case "Fn::Sub" if isinstance(argument, str):
                return _VARIABLE.sub(self._substitution(attributes), argument)
            case "Fn::Join":
                separator, items = argument
                return separator.join(self._resolve(items, attributes))
            case "Fn::If":
                condition, then, otherwise = argument
                return self._resolve(then if self._holds(condition) else otherwise, attributes)
            case "Fn::Equals":
                left, right = self._resolve(argument, attributes)
                return str(left) == str(right)
            case "Fn::Not":
                return not self._resolve(argument[0], attributes)
        raise TemplateRefused(f"{function} is not known to the local stack in this form.")

    def _ref(self, name: str, attributes: Attributes) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        return self._values[name] if name in self._values else _attribute(attributes, name, "Ref")

    def _substitution(self, attributes: Attributes) -> Callable[[re.Match[str]], str]:
        def replace(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            value = (
                _attribute(attributes, name, attribute)
                if attribute
                else self._ref(name, attributes)
            )
            return str(value)

        return replace

    def _holds(self, condition: str) -> bool:
        return bool(self._resolve(self._conditions[condition], {}))


class CloudFormationLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: ``!Ref X`` is ``{"Ref": "X"}``."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TemplateRefused(f"!{suffix} with a mapping is not known to the local stack.")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


CloudFormationLoader.add_multi_constructor("!", _short_form)


def _parameters(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    if unknown := given.keys() - declared.keys():
        raise TemplateRefused(
            f"Unknown parameters {sorted(unknown)}; the template has {sorted(declared)}."
        )
    values: dict[str, Any] = {}
    for name, rules in declared.items():
        if name not in given and "Default" not in rules:
            raise TemplateRefused(f"Parameter {name} needs a value.")
        values[name] = _parameter(name, rules, str(given.get(name, rules.get("Default"))))
    return values


def _parameter(name: str, rules: Mapping[str, Any], text: str) -> Any:
    allowed = rules.get("AllowedValues")
    if allowed is not None and text not in map(str, allowed):
        raise TemplateRefused(f"Parameter {name} is one of {allowed}, not {text!r}.")
    pattern = rules.get("AllowedPattern")
    if pattern is not None and not re.search(pattern, text):
        raise TemplateRefused(f"Parameter {name} must match {pattern}, and {text!r} does not.")
    match rules["Type"]:
        case "Number":
            low, high = rules.get("MinValue", float("-inf")), rules.get("MaxValue", float("inf"))
            if not text.lstrip("-").isdigit() or not low <= int(text) <= high:
                raise TemplateRefused(f"Parameter {name} is a whole number from {low} to {high}.")
            return int(text)
        case "CommaDelimitedList":
            return [item.strip() for item in text.split(",")]
    return text


def _attribute(attributes: Attributes, name: str, attribute: str) -> str:
    try:
        return attributes[name][attribute]
    except KeyError:
        raise TemplateRefused(f"{name} has no {attribute} that the local stack knows.") from None


def _references(value: Any) -> Iterator[str]:
    """Names that ``value`` refers to: resources, and parameters too."""
    if isinstance(value, dict):
        if "Ref" in value:
            yield value["Ref"]
        elif "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        elif isinstance(value.get("Fn::Sub"), str):
            yield from (found.partition(".")[0] for found in _VARIABLE.findall(value["Fn::Sub"]))
        else:
            value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from _references(member)
