"""A checkout of its own to deploy from: this working tree, committed, for the emulator."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.local.access import CloudAccess
from tests.infra.stacks import emulated
from tests.infra.stacks.policies import ROOT

NAMES = ("access", "data", "network", "workers", "api", "observability")
"""In the order of infra/stacks/deploy.sh."""
DOMAIN = "example.com"
_PARTS = (
    "domain", "commands", "projections", "handlers", "infra", "template.yaml", "Makefile",
    "constraints.txt", "pyproject.toml", "README.md", "LICENSE", ".gitignore",
)  # fmt: skip
_ENVIRONMENTS = (".venv", ".venv-sam")

# Answers as docker does, writes down what it was asked, and keeps what was pushed.
_ENGINE = """#!/usr/bin/env bash
place=$(dirname "$0")
echo "$*" >> "$place/asked"
touch "$place/pushed"
case $1 in
  login) cat > /dev/null ;;
  manifest) grep -qxF "$3" "$place/pushed" ;;
  push) echo "$2" >> "$place/pushed" ;;
esac
"""
# The command line, but for the address of the stage, which is on no network here.
_COMMANDS = """#!/usr/bin/env bash
echo "$*" >> "$(dirname "$0")/commanded"
[ "$1" = smoke ] || PYTHONPATH=. exec .venv/bin/splitsound "$@"
[ ! -e "$(dirname "$0")/ill" ]
"""


@dataclass(frozen=True)
class Checkout:
    """One in a directory, with programs that stand for an engine and for `splitsound`."""

    root: Path
    beside: Path
    access: CloudAccess
    stage: str

    @classmethod
    def made(cls, place: Path, access: CloudAccess, stage: str) -> Checkout:
        """The working tree as it is, in one commit, its templates without what is refused."""
        found = cls(place / "checkout", place / "beside", access, stage)
        found.beside.mkdir(parents=True)
        for name in _files():
            (found.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, found.root / name)
        for name in NAMES:
            found.write(name, _here(emulated.template(name)))
        for environment in _ENVIRONMENTS:
            (found.root / environment).symlink_to((ROOT / environment).resolve())
        found.git("init", "--quiet")
        # A link is no directory, which is what .gitignore speaks of.
        (found.root / ".git/info/exclude").write_text("".join(f"{e}\n" for e in _ENVIRONMENTS))
        found.commit()
        for name, text in (("docker", _ENGINE), ("splitsound", _COMMANDS)):
            (found.beside / name).write_text(text)
            (found.beside / name).chmod(0o755)
        return found

    def write(self, name: str, document: Mapping[str, Any]) -> None:
        """The template of a stack."""
        path = "template.yaml" if name == "data" else f"infra/stacks/{name}.yaml"
        (self.root / path).write_text(yaml.safe_dump(document, sort_keys=False))

    def replace(self, name: str, old: str, new: str) -> None:
        """In one of its files."""
        text = (self.root / name).read_text()
        assert text.count(old) == 1
        (self.root / name).write_text(text.replace(old, new))

    def commit(self) -> str:
        """All of it; the tag that its images get."""
        self.git("add", "--all")
        self.git("-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-qm", "A change")
        return self.git("rev-parse", "--short=12", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout

    def certificate(self) -> str:
        """The ARN of a new one for the domain's API."""
        acm = self.access.client("acm")
        made: str = acm.request_certificate(DomainName=f"api.{DOMAIN}")["CertificateArn"]
        return made

    def run(self, script: str, answer: str = "", **told: str) -> subprocess.CompletedProcess[str]:
        """`infra/stacks/SCRIPT.sh`, in this cloud. told: variables; an empty one is not set."""
        environment = self.access.environment() | {
            "HOME": str(self.beside),  # sam keeps settings of its own there
            "SAM_CLI_POLL_DELAY": "0.2",
            "STAGE": self.stage,
            "DOMAIN": DOMAIN,
            "DOCKER": str(self.beside / "docker"),
            "SPLITSOUND": str(self.beside / "splitsound"),
            "PYTHONPATH": "",
        }
        environment |= told
        return subprocess.run(
            [f"infra/stacks/{script}.sh"], cwd=self.root, input=answer, capture_output=True,
            text=True, check=False, env={k: v for k, v in environment.items() if v},
        )  # fmt: skip

    def lines(self, name: str) -> list[str]:
        """What a program wrote down since the last look."""
        path = self.beside / name
        if not path.exists():
            return []
        found = path.read_text().splitlines()
        path.unlink()
        return found

    def stacks(self) -> dict[str, str]:
        """This stage's, with how each stands, in the order in which they were made."""
        prefix = f"splitsound-{self.stage}-"
        listed = self.access.client("cloudformation").describe_stacks()["Stacks"]
        listed.sort(key=lambda each: str(each["CreationTime"]))
        return {
            each["StackName"].removeprefix(prefix): each["StackStatus"]
            for each in listed
            if each["StackName"].startswith(prefix) and each["StackStatus"] != "DELETE_COMPLETE"
        }

    def were_made(self, name: str) -> set[str]:
        """What was there at some time while the stack was made."""
        events = self.access.client("cloudformation").get_paginator("describe_stack_events")
        pages = events.paginate(StackName=f"splitsound-{self.stage}-{name}")
        told = [each for page in pages for each in page["StackEvents"]]
        return {e["LogicalResourceId"] for e in told if e["ResourceStatus"] == "CREATE_COMPLETE"}

    def parameters(self, name: str) -> dict[str, str]:
        """What the stack was told."""
        stack = f"splitsound-{self.stage}-{name}"
        [told] = self.access.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in told["Parameters"]}


def _here(document: dict[str, Any]) -> dict[str, Any]:
    """The template with other defaults: this cloud speaks plain HTTP and has no images of AWS's."""
    given = {"RequireTls": "false", "GpuImageId": emulated.IMAGE}
    parameters = {
        name: {**each, "Default": given[name]} if name in given else each
        for name, each in document["Parameters"].items()
    }
    return {**document, "Parameters": parameters}


def _files() -> list[str]:
    """Of the working tree: what git knows, and what it would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *_PARTS],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [name for name in listed if (ROOT / name).is_file()]
