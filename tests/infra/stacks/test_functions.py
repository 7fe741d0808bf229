"""Each function of the template starts with nothing installed but what its layer holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.local.template import CloudFormationLoader
from tests.infra.stacks.policies import ROOT

ENVIRONMENT = {
    "SPLITSOUND_STAGE": "dev", "SPLITSOUND_ACCOUNT": "123456789012", "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip


def handlers() -> list[str]:
    document = yaml.load((ROOT / "template.yaml").read_text(), Loader=CloudFormationLoader)
    return [
        each["Properties"]["Handler"]
        for each in document["Resources"].values()
        if each["Type"] == "AWS::Serverless::Function"
    ]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer for this machine's Python, by the same requirements and constraints."""
    target = tmp_path_factory.mktemp("layer")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--target", target, "--constraint", ROOT / "constraints.txt",
         "--requirement", ROOT / "infra" / "functions" / "requirements.txt"],
        check=True, cwd=ROOT, capture_output=True,
    )  # fmt: skip
    return target


@pytest.mark.long
@pytest.mark.parametrize("handler", handlers())
def test_the_function_starts(layer: Path, handler: str) -> None:
    module, _, name = handler.rpartition(".")
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(layer)!r}]\n"
        f"import {module} as function; assert callable(function.{name})\n"
        "assert not {'torch', 'numpy', 'litestar', 'stripe'} & set(sys.modules)"
    )
    # -I -S: nothing of this environment, no site-packages.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        check=False,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_function_says_where_it_starts_and_as_whom() -> None:
    document = yaml.load((ROOT / "template.yaml").read_text(), Loader=CloudFormationLoader)
    for name, each in document["Resources"].items():
        if each["Type"] == "AWS::Serverless::Function":
            path = ROOT / (each["Properties"]["Handler"].rpartition(".")[0].replace(".", "/"))
            assert path.with_suffix(".py").is_file(), name
            assert name.removesuffix("Function").lower() in str(each["Properties"]["Role"])
