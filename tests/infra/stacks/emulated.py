"""The stacks as the emulator takes them: without what it does not know.

``tests/e2e/test_cloudformation.py`` sees that it really refuses those; only a real account shows
them.
"""

from __future__ import annotations

from typing import Any

import yaml

from infra.local.provision import TEMPLATE
from infra.local.template import CloudFormationLoader
from tests.infra.stacks.policies import document

REFUSED = {
    "AWS::Events::Archive",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::ECS::CapacityProvider",
    "AWS::ECS::ClusterCapacityProviderAssociations",
    "AWS::Budgets::Budget",
}
"""Types that ministack 1.5.33 does not know; only a real account shows them."""
IMAGE = "/test/gpu-image"
"""Of the parameter that stands for AWS's image for GPU machines."""


def data() -> dict[str, Any]:
    """The data stack, as its file says."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=CloudFormationLoader)
    return found  # by a SafeLoader


def template(name: str) -> dict[str, Any]:
    """The stack without what the emulator refuses, and without asking for any of it."""
    found = data() if name == "data" else dict(document(name))
    kept = {n: r for n, r in found["Resources"].items() if _is_known(r)}
    left_out = found["Resources"].keys() - kept.keys()
    return {**found, "Resources": {n: _without(r, left_out) for n, r in kept.items()}}


def _is_known(resource: dict[str, Any]) -> bool:
    """Beside REFUSED it knows no alarm that computes with metrics."""
    return resource["Type"] not in REFUSED and "Metrics" not in resource.get("Properties", {})


def _without(resource: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    """The resource, asking for nothing that is left out."""
    given = resource.get("Properties", {})
    properties = {k: v for k, v in given.items() if not _names(v, left_out)}
    if resource["Type"] == "AWS::ECS::Service":
        # It takes a parameter's number for a text, and counts with it; and runs no containers.
        properties["DesiredCount"] = 0
    needs = [n for n in _listed(resource.get("DependsOn", [])) if n not in left_out]
    rest = {k: v for k, v in resource.items() if k != "DependsOn"}
    return {**rest, "Properties": properties, **({"DependsOn": needs} if needs else {})}


def _names(value: Any, names: set[str]) -> bool:
    if isinstance(value, dict):
        return value.get("Ref") in names or any(_names(v, names) for v in value.values())
    return isinstance(value, list) and any(_names(v, names) for v in value)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
