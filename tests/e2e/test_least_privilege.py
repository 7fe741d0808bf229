"""A whole stack in which each process has nothing but the rights of its role on AWS.

The emulator enforces actions and resources, with exceptions. It knows no ``LeadingKeys`` and no
role that is assumed, so here a statement with such a condition counts without it, and the API
signs URLs with the signer's rights beside its own. It asks for batch calls of SQS by names that
AWS does not have, and judges calls on streams without their resource.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from infra.local.access import ACCOUNT, CloudAccess
from infra.local.stack import LocalStack
from infra.local.supervisor import Component
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT
from tests.infra.stacks.policies import statements

STAGE = "dev"
ROLES = {
    "api": ("ApiRole", "SignerRole"),
    "relay": ("RelayRole",),
    "projector": ("ProjectorRole",),
    "sweeper": ("SweeperRole",),
    "deliverer": ("DelivererRole",),
    "janitor": ("JanitorRole",),
    "worker-1": ("WorkerRole",),
}
# The local stack looks for the stream's name; in Lambda the mapping names it.
TAIL = {
    "Effect": "Allow",
    "Action": [
        "dynamodb:DescribeTable", "dynamodb:DescribeStream", "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
    ],
    "Resource": "*",
}  # fmt: skip
# On a laptop alone the deliverer looks for what a killed emulator has forgotten.
CATCH_UP = {
    "Effect": "Allow",
    "Action": "dynamodb:Scan",
    "Resource": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/splitsound-{STAGE}-events",
}
LOCALLY: dict[str, dict[str, Any]] = {"relay": TAIL, "deliverer": CATCH_UP}
BATCHES = {"sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:SendMessage"}


class Confined(LocalStack):
    """A stack whose components have keys of their own."""

    def _components(self) -> list[Component]:
        return [self._confined(each) for each in super()._components()]

    def _confined(self, component: Component) -> Component:
        if component.name not in ROLES:
            return component
        access = self.keys_of(component.name)
        keys = {
            "AWS_ACCESS_KEY_ID": access.access_key, "AWS_SECRET_ACCESS_KEY": access.secret_key,
        }  # fmt: skip
        return replace(component, env={**component.env, **keys})

    def keys_of(self, name: str) -> CloudAccess:
        """An IAM user with the rights of that component's roles."""
        iam = self.emulator.access.client("iam")
        allowed = [_plain(s) for role in ROLES[name] for s in statements(role, STAGE, ACCOUNT)]
        if name in LOCALLY:
            allowed.append(LOCALLY[name])
        user = f"as-{name}-{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=user)
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_user_policy(UserName=user, PolicyName="role", PolicyDocument=policy)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        root = self.emulator.access
        return CloudAccess(root.endpoint, key["AccessKeyId"], key["SecretAccessKey"])


def _plain(statement: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in statement.items() if key != "Condition"}
    actions = plain["Action"] if isinstance(plain["Action"], list) else [plain["Action"]]
    return plain | {"Action": [*actions, *(f"{a}Batch" for a in actions if a in BATCHES)]}


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    with Confined(tmp_path_factory.mktemp("confined"), settings=IMPATIENT) as running:
        yield running


def test_a_song_needs_no_other_rights(confined: Confined, song: bytes) -> None:
    ann = Browser(confined.api_url, "ann@example.com")
    asset = ann.upload(song, "My song.wav")
    assert ann.probed(asset)["status"] == "ready"
    ended = ann.ended(ann.separate(asset, key="once"))
    assert ended["status"] == "completed", ended
    assert all(ann.download(stem["url"])[:4] == b"fLaC" for stem in ended["stems"])
    assert ann.get("/v1/credits")["captured"] == 6
    for log in confined.logs.glob("*.log"):
        denied = [line for line in log.read_text().splitlines() if "denied" in line.lower()]
        assert not denied, (log.name, denied[:3])


@pytest.mark.parametrize("name", ["api", "worker-1", "sweeper", "deliverer"])
def test_nobody_but_the_janitor_deletes_media(confined: Confined, name: str) -> None:
    bucket = confined.environment["SPLITSOUND_MEDIA_BUCKET"]
    key = "user_usr_1/originals/ast_1/original"
    confined.emulator.access.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        confined.keys_of(name).client("s3").delete_object(Bucket=bucket, Key=key)
    confined.keys_of("janitor").client("s3").delete_object(Bucket=bucket, Key=key)


def test_the_worker_takes_no_doorbells_of_others(confined: Confined) -> None:
    sqs = confined.keys_of("worker-1").client("sqs")
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.receive_message(QueueUrl=confined.environment["SPLITSOUND_PROJECTIONS_QUEUE"])


def test_the_relay_reads_no_rows(confined: Confined, tmp_path: Path) -> None:
    dynamodb = confined.keys_of("relay").client("dynamodb")
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.scan(TableName=confined.environment["SPLITSOUND_READ_MODELS_TABLE"])
