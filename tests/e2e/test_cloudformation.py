"""The stacks as CloudFormation takes them: SAM's transform applied, deployed into the emulator.

The stage that comes of it is then used like any other: a song becomes stems on it, although nothing
was provisioned by ``infra.local.provision``. What the emulator cannot deploy is left out, by type,
and a test sees that it really refuses those.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from infra.local.access import CloudAccess
from infra.local.stack import LocalStack
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT
from tests.infra.stacks import emulated
from tests.infra.stacks.emulated import IMAGE, REFUSED

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
PARAMETERS: dict[str, dict[str, str]] = {
    "access": {},
    "network": {},
    "data": {"RequireTls": "false", "AllowedOrigins": "http://localhost:5173"},
    "workers": {"ImageTag": "abc", "Gpu": "on", "GpuImageId": IMAGE},
    "observability": {"AlarmEmail": "ops@example.com"},
    "api": {"ImageTag": "abc", "Domain": "example.com", "CertificateArn": CERTIFICATE},
}
"""By stack, in the order of infra/stacks/deploy.sh."""

pytestmark = [pytest.mark.long, pytest.mark.slow]


class Deployed(LocalStack):
    """A local stack whose cloud was made by CloudFormation."""

    def _cloud(self) -> CloudAccess:
        access = super()._cloud()
        _prepare(access)
        for name, parameters in PARAMETERS.items():
            deploy(access, name, parameters)
        return access


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with Deployed(tmp_path_factory.mktemp("deployed"), settings=IMPATIENT) as running:
        yield running


def _prepare(access: CloudAccess) -> None:
    """What stands there before: the functions' packages, and AWS's image for GPU machines."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("here.py", "")
    s3 = access.client("s3")
    s3.create_bucket(Bucket="packages")
    s3.put_object(Bucket="packages", Key="code.zip", Body=packed.getvalue())
    access.client("ssm").put_parameter(Name=IMAGE, Value="ami-12345678", Type="String")


def template(name: str) -> dict[str, Any]:
    """The stack as it is deployed, packages in S3, without what the emulator refuses."""
    found = emulated.template(name)
    told = [resource["Properties"] for resource in found["Resources"].values()]
    for properties in [*told, found.get("Globals", {}).get("Function", {})]:
        for uri in properties.keys() & {"ContentUri", "CodeUri"}:
            properties[uri] = "s3://packages/code.zip"
    return found


def deploy(access: CloudAccess, name: str, parameters: Mapping[str, str]) -> None:
    """Create the stack and wait for it."""
    cloudformation, stack = access.client("cloudformation"), f"splitsound-dev-{name}"
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=yaml.safe_dump(template(name), sort_keys=False),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + 60
    while True:
        [told] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        if not told["StackStatus"].endswith("_IN_PROGRESS"):
            break
        assert time.monotonic() < deadline, f"{stack} hangs"
        time.sleep(0.1)
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    broken = [
        f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}"
        for e in events
        if "FAILED" in e["ResourceStatus"]
    ]
    assert told["StackStatus"] == "CREATE_COMPLETE", broken


def test_a_song_becomes_stems_on_what_cloudformation_made(deployed: Deployed, song: bytes) -> None:
    ann = Browser(deployed.api_url, "ann@example.com")
    asset = ann.upload(song, "My song.wav")
    assert ann.probed(asset)["status"] == "ready"
    ended = ann.ended(ann.separate(asset, key="once"))
    assert ended["status"] == "completed", ended
    assert all(ann.download(stem["url"])[:4] == b"fLaC" for stem in ended["stems"])
    assert ann.get("/v1/credits")["captured"] == 6


def test_functions_get_what_rings(deployed: Deployed) -> None:
    """SAM's transform made functions and their mappings, each under its role."""
    functions = deployed.emulator.access.client("lambda")
    made = {f["FunctionName"]: f["Role"] for f in functions.list_functions()["Functions"]}
    declared = [
        r
        for r in template("data")["Resources"].values()
        if r["Type"] == "AWS::Serverless::Function"
    ]
    assert len(made) == len(declared)
    assert all(role.endswith(f"role/{name}") for name, role in made.items())
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    fed = {m["FunctionArn"].rpartition(":")[2] for m in mappings}
    assert {"splitsound-dev-relay", "splitsound-dev-projector"} <= fed


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_is_left_out_is_really_refused(deployed: Deployed, kind: str) -> None:
    body = yaml.safe_dump({"Resources": {"X": {"Type": kind, "Properties": {}}}})
    cloudformation = deployed.emulator.access.client("cloudformation")
    name = f"x-{kind.replace('::', '-')}"
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        cloudformation.create_stack(StackName=name, TemplateBody=body)
