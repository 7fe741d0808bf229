"""What tasks and functions are told is what settings know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.template import Template
from infra.settings import Settings, from_environment
from tests.infra.stacks.policies import PSEUDO, ROOT, STACKS, document

FILES = [*sorted(STACKS.glob("*.yaml")), ROOT / "template.yaml", ROOT / "infra/images/Dockerfile"]
# Of ``infra.stage``, and of the API's own command line.
OTHERS = {"ACCOUNT", "API_HOST", "API_PORT"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {name.upper() for name in Settings.__struct_fields__} | OTHERS
    assert set(re.findall(r"SPLITSOUND_([A-Z_]+)", path.read_text())) <= known


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Each container that a stack can start, with the stack's parameters."""
    told = {"ImageTag": "abc", "Stage": "prod"}
    served = told | {"Domain": "example.com", "CertificateArn": "arn:aws:acm:x"}
    for stack, parameters in (
        ("workers", told | {"Gpu": "on", "GpuImageId": "ami-1"}),
        ("api", served),
        ("api", served | {"WorkerInTask": "true"}),
    ):
        for resource in document(stack)["Resources"].values():
            if resource["Type"] == "AWS::ECS::TaskDefinition":
                for each in resource["Properties"]["ContainerDefinitions"]:
                    container = each["Fn::If"][1] if "Fn::If" in each else each
                    yield stack, container, parameters


@pytest.mark.parametrize(("stack", "container", "parameters"), list(containers()))
def test_a_task_starts_before_anybody_filled_in_the_secrets(
    stack: str, container: dict[str, Any], parameters: dict[str, str]
) -> None:
    """They are made empty, each under the key that the task asks for."""
    made = json.loads(document("access")["Resources"]["Secrets"]["Properties"]["SecretString"])
    template = Template(document(stack), parameters, PSEUDO)
    environment = {e["Name"]: template.resolve(e["Value"], {}) for e in container["Environment"]}
    for secret in container.get("Secrets", []):
        _, [_, reference] = secret["ValueFrom"]["Fn::Join"]
        environment[secret["Name"]] = made[reference.strip(":")]
    assert from_environment(environment).stage == "prod"
