"""What parts of a stage do when it is made, released anew and taken down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.stacks import emulated
from tests.infra.stacks.policies import ROOT, STACKS, document

STACKED = {path.stem: document(path.stem) for path in STACKS.glob("*.yaml")}
STACKED["data"] = emulated.data()


def resources(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for stack in STACKED.values():
        for name, resource in stack["Resources"].items():
            if resource["Type"] == kind:
                yield name, resource


def test_a_release_leaves_the_number_of_tasks_that_load_asked_for() -> None:
    """But of GPU workers, which begin with none: a new account may start no such machine."""
    services = dict(resources("AWS::ECS::Service"))
    numbered = {name for name, each in services.items() if "DesiredCount" in each["Properties"]}
    assert numbered == {"GpuService", "DelivererService"}
    scaled = {name for name, _ in resources("AWS::ApplicationAutoScaling::ScalableTarget")}
    assert scaled == {"Scalable", "CpuScalable", "GpuScalable"}


def test_what_people_own_outlives_a_stage_but_not_its_failed_creation() -> None:
    every = {name: each for stack in STACKED.values() for name, each in stack["Resources"].items()}
    kept = {name for name, each in every.items() if each.get("UpdateReplacePolicy") == "Retain"}
    assert all(every[name]["DeletionPolicy"] == "RetainExceptOnCreate" for name in kept)
    assert kept == {
        "EventsTable", "KeysTable", "KeysKey", "MediaBucket", "AuditBucket", "DigestKey", "Secrets",
    }  # fmt: skip


def test_images_go_with_their_stage() -> None:
    repositories = dict(resources("AWS::ECR::Repository"))
    assert len(repositories) == 2
    assert all(each["Properties"]["EmptyOnDelete"] is True for each in repositories.values())


def mounts() -> Iterator[tuple[str, str]]:
    """Where each container may write, with the target of the Dockerfile that it is of."""
    for _, definition in resources("AWS::ECS::TaskDefinition"):
        for each in definition["Properties"]["ContainerDefinitions"]:
            container = each["Fn::If"][1] if "Fn::If" in each else each
            image = "worker" if "worker" in str(container["Image"]) else "api"
            for mount in container["MountPoints"]:
                yield image, mount["ContainerPath"]


@pytest.mark.parametrize(("image", "path"), sorted(set(mounts())))
def test_users_without_a_name_may_write_where_something_is_mounted(image: str, path: str) -> None:
    """Fargate keeps the rights of a path only where the image declares it as a volume."""
    text = (ROOT / "infra" / "images" / "Dockerfile").read_text()
    target = text.partition(f" AS {image}\n")[2].partition("\nFROM ")[0]
    [volumes] = re.findall(r"^VOLUME \[(.*)\]", target, re.MULTILINE)
    assert f'"{path}"' in volumes


def test_all_dead_letters_are_told_of() -> None:
    queues = {
        each["Properties"]["QueueName"]["Fn::Sub"]
        for name, each in resources("AWS::SQS::Queue")
        if name.endswith("DeadLetters")
    }
    watched = str(STACKED["observability"]["Resources"]["DeadLetters"])
    assert len(queues) == 5
    assert all(queue in watched for queue in queues)


def test_stacks_come_after_what_they_import_from_and_go_before_it() -> None:
    coming = re.findall(r"^ *deploy (\w+)", (STACKS / "deploy.sh").read_text(), re.MULTILINE)
    [loop] = re.findall(r"for name in (.*); do", (STACKS / "destroy.sh").read_text())
    going = loop.split()
    assert sorted(coming) == sorted(going) == sorted(STACKED)
    for name, stack in STACKED.items():
        for other, exporting in STACKED.items():
            if set(_imports(stack)) & set(_exports(exporting)):
                assert coming.index(other) < coming.index(name)
                assert going.index(name) < going.index(other)


def _exports(stack: dict[str, Any]) -> Iterator[str]:
    for output in stack.get("Outputs", {}).values():
        if "Export" in output:
            yield output["Export"]["Name"]["Fn::Sub"]


def _imports(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            yield value["Fn::ImportValue"]["Fn::Sub"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _imports(each)
