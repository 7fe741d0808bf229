"""What a role of ``infra/stacks/access.yaml`` may do, by the rules of IAM that it uses.

A statement allows a call whose action and resource it matches and whose conditions hold; there is
no Deny. (AWS: "Policy evaluation logic".)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra.local.template import CloudFormationLoader, Template

ROOT = Path(__file__).resolve().parents[3]
STACKS = ROOT / "infra" / "stacks"
ACCOUNT, REGION, STAGE = "123456789012", "us-east-1", "prod"
PSEUDO = {
    "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}  # fmt: skip


@cache
def document(name: str) -> dict[str, Any]:
    """A stack, as YAML has it."""
    text = (STACKS / f"{name}.yaml").read_text()
    found: dict[str, Any] = yaml.load(text, Loader=CloudFormationLoader)  # a SafeLoader
    return found


@cache
def statements(role: str, stage: str = STAGE, account: str = ACCOUNT) -> list[dict[str, Any]]:
    """Of a role's own policies and the managed ones that it names."""
    stack = document("access")
    template = Template(stack, {"Stage": stage}, PSEUDO | {"AWS::AccountId": account})
    properties = stack["Resources"][role]["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    documents += [
        stack["Resources"][managed["Ref"]]["Properties"]["PolicyDocument"]
        for managed in properties.get("ManagedPolicyArns", [])
    ]
    made = {name: {"Arn": f"arn:of:{name}", "Ref": name} for name in stack["Resources"]}
    resolved: list[dict[str, Any]] = template.resolve(
        [each for policy in documents for each in policy["Statement"]], made
    )
    return resolved


def allows(role: str, action: str, resource: str, **context: str) -> bool:
    """Whether the role may make that call. context: condition keys, with ``_`` for ``:``."""
    return any(
        each["Effect"] == "Allow"
        and any(fnmatchcase(action, pattern) for pattern in _listed(each["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in _listed(each["Resource"]))
        and _hold(each.get("Condition", {}), context)
        for each in statements(role)
    )


def _hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    return all(
        any(fnmatchcase(context.get(key.replace(":", "_"), ""), p) for p in _listed(patterns))
        for keys in conditions.values()
        for key, patterns in keys.items()
    )


def roles() -> Iterator[str]:
    """The names of all roles."""
    for name, resource in document("access")["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            yield name


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
