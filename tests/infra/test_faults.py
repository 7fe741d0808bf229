"""AWS's denials in the shapes that its services give them, and from the emulator itself."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aioboto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import GetError
from pynamodb.models import Model

from domain.errors import AccessDenied, Unavailable
from infra.bus import Bus
from infra.clock import SystemClock
from infra.event_store.dynamodb import DynamoDBStore
from infra.faults import unavailable
from infra.local.access import CloudAccess
from infra.objects import S3_CONFIG, Objects
from infra.queue import Queue
from projections.doorbell import Doorbell
from tests.conftest import Cloud

WHO = "User: arn:aws:sts::123456789012:assumed-role/api/i-0abc is not authorized to perform: "
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/events"


def denied(code: str, message: str, operation: str, resource: str = "") -> AccessDenied:
    error = ClientError({"Error": {"Code": code, "Message": message}}, operation)
    found = unavailable("It", error, resource)
    assert isinstance(found, AccessDenied)
    assert "123456789012" not in found.detail
    assert "i-0abc" not in found.detail
    assert found.extra["resource"] in found.detail
    return found


@pytest.mark.parametrize(
    ("code", "message", "operation", "resource", "told"),
    [
        (
            "AccessDeniedException",
            f"{WHO}dynamodb:PutItem on resource: {TABLE} because no identity-based policy allows "
            "the dynamodb:PutItem action",
            "PutItem", "", ("dynamodb:PutItem", "table/events"),
        ),
        (
            "AccessDeniedException",
            f"{WHO}dynamodb:Query on resource: {TABLE}/index/by_owner",
            "Query", "", ("dynamodb:Query", "table/events/index/by_owner"),
        ),
        (
            "AccessDenied",
            f'{WHO}s3:PutObject on resource: "arn:aws:s3:::media/user_1/originals/a/original" '
            "because no identity-based policy allows the s3:PutObject action",
            "UploadPart", "", ("s3:PutObject", "media/user_1/originals/a/"),
        ),
        (
            "AccessDenied", "Access Denied", "ListParts", "arn:aws:s3:::media/u/o/k",
            ("s3:ListMultipartUploadParts", "media/u/o/"),
        ),
        ("403", "Forbidden", "HeadBucket", "arn:aws:s3:::media", ("s3:ListBucket", "media")),
        (
            "AccessDenied",
            f"{WHO}sqs:sendmessage on resource: arn:aws:sqs:eu-west-1:123456789012:probe because "
            "no identity-based policy allows the sqs:sendmessage action",
            "SendMessage", "", ("sqs:SendMessage", "probe"),
        ),
        (
            "AWS.SimpleQueueService.AccessDenied",
            "Access to the resource https://sqs.eu-west-1.amazonaws.com/123456789012/probe is "
            "denied.",
            "ReceiveMessage", "", ("sqs:ReceiveMessage", "probe"),
        ),
        (
            "AccessDenied", "Access Denied", "DeleteMessage",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/probe",
            ("sqs:DeleteMessage", "probe"),
        ),
        (
            "AccessDeniedException",
            f"{WHO}events:PutEvents on resource: "
            "arn:aws:events:eu-west-1:123456789012:event-bus/splitsound",
            "PutEvents", "", ("events:PutEvents", "event-bus/splitsound"),
        ),
        (
            "KMS.AccessDeniedException",
            f"{WHO}kms:GenerateDataKey on resource: "
            "arn:aws:kms:eu-west-1:123456789012:key/1-2 because no resource-based policy allows "
            "the kms:GenerateDataKey action",
            "PutObject", "arn:aws:s3:::media/u/o/k", ("kms:GenerateDataKey", "key/1-2"),
        ),
        (
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. Encoded authorization failure "
            "message: SECRETSECRET",
            "DescribeInstances", "", ("DescribeInstances", ""),
        ),
    ],
)  # fmt: skip
def test_every_service_s_words(
    code: str, message: str, operation: str, resource: str, told: tuple[str, str]
) -> None:
    found = denied(code, message, operation, resource)
    assert (found.extra["action"], found.extra["resource"]) == told
    assert f"AWS denied {told[0]} on " in found.detail
    assert "SECRET" not in found.detail
    assert (found.code, found.status, found.retryable) == ("access_denied_by_aws", 503, False)


def test_the_remedy_depends_on_why() -> None:
    missing = denied("AccessDeniedException", f"{WHO}dynamodb:Scan on resource: {TABLE}", "Scan")
    assert "The operator has to allow dynamodb:Scan there for the role" in missing.detail
    kind = denied(
        "AccessDeniedException",
        f"{WHO}dynamodb:Scan on resource: {TABLE} because no permissions boundary allows the "
        "dynamodb:Scan action",
        "Scan",
    )
    assert "no permissions boundary allows it" in kind.detail
    deny = denied(
        "AccessDeniedException",
        f"{WHO}dynamodb:Scan on resource: {TABLE} with an explicit deny in a service control "
        "policy: arn:aws:organizations::123456789012:policy/o/p",
        "Scan",
    )
    assert "an explicit deny in a service control policy forbids it" in deny.detail
    assert "take it out of that deny" in deny.detail
    head = denied("403", "Forbidden", "HeadObject", "arn:aws:s3:::media/u/k")
    assert "s3:ListBucket" in head.detail


def test_other_failures_stay_what_they_were() -> None:
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "x"}}, "PutItem")
    silent = EndpointConnectionError(endpoint_url="http://x")
    for error in (throttled, silent, GetError("no", cause=silent)):
        found = unavailable("The table", error)
        assert type(found) is Unavailable
        assert found.detail.startswith("The table did not do it (")
        assert found.retryable


# --- as the emulator denies -------------------------------------------------------------------


@pytest.fixture
def powerless(cloud: Cloud, tmp_path: Path) -> CloudAccess:
    """Keys of an IAM user who may read one thing and do nothing else."""
    return restricted(cloud.access, [("Allow", "s3:GetObject")])


def restricted(access: CloudAccess, rules: list[tuple[str, str]]) -> CloudAccess:
    """Keys of a new IAM user with those (effect, action) statements on everything."""
    iam, name = access.client("iam"), f"u{uuid.uuid4().hex}"
    iam.create_user(UserName=name)
    statements = [{"Effect": e, "Action": a, "Resource": "*"} for e, a in rules]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="rules", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return CloudAccess(access.endpoint, key["AccessKeyId"], key["SecretAccessKey"])


def refused(work: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(AccessDenied) as caught:
        work()
    assert isinstance(caught.value.__cause__, Exception)
    return caught.value.extra["action"], caught.value.extra["resource"]


def test_our_adapters_name_what_was_denied(cloud: Cloud, powerless: CloudAccess) -> None:
    made = cloud.resources
    store = DynamoDBStore(powerless.client("dynamodb"), made.events_table, SystemClock())
    queue = Queue(powerless.client("sqs"), made.probe_queue)
    bus = Bus(powerless.client("events"), made.event_bus)
    table, name = f"table/{made.events_table}", made.probe_queue.rpartition("/")[2]
    assert refused(lambda: list(store.read("job-1"))) == ("dynamodb:Query", table)
    assert refused(lambda: list(store.scan())) == ("dynamodb:Scan", table)
    assert refused(lambda: queue.send("x")) == ("sqs:SendMessage", name)
    assert refused(lambda: queue.receive(wait=0)) == ("sqs:ReceiveMessage", name)
    ring = Doorbell("job-1", 1, 1, ("A",), 1, "", "", "")
    assert refused(lambda: bus.publish([ring])) == (
        "events:PutEvents", f"event-bus/{made.event_bus}",
    )  # fmt: skip


def test_the_bucket_names_the_folder(
    cloud: Cloud, powerless: CloudAccess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in powerless.environment().items():
        monkeypatch.setenv(name, value)
    bucket, key = cloud.resources.media_bucket, "user_1/jobs/job_1/output/1/vocals.flac"
    session = aioboto3.Session()
    signer = aioboto3.session.boto3.Session(region_name="us-east-1").client("s3", config=S3_CONFIG)
    objects = Objects(session, signer, bucket, 60)
    song = tmp_path / "song"
    song.write_bytes(b"x")

    async def attempts() -> list[tuple[str, str]]:
        found = []
        async with objects:
            for call in (
                objects.check(),
                objects.create_multipart(key, "audio/flac"),
                objects.upload(song, key, "audio/flac"),
                objects.parts(key, "x"),
            ):
                with pytest.raises(AccessDenied) as caught:
                    await call
                found.append((caught.value.extra["action"], caught.value.extra["resource"]))
        return found

    bucket = bucket.replace(cloud.access.account, "*")
    folder = f"{bucket}/user_1/jobs/job_1/output/1/"
    assert asyncio.run(attempts()) == [
        ("s3:ListBucket", bucket),
        ("s3:PutObject", folder),
        ("s3:PutObject", folder),
        ("s3:ListMultipartUploadParts", folder),
    ]


def test_pynamodb_s_errors_are_opened(
    cloud: Cloud, powerless: CloudAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in powerless.environment().items():
        monkeypatch.setenv(name, value)

    class Row(Model):
        class Meta:
            table_name = cloud.resources.read_models_table
            region = "us-east-1"
            host = powerless.endpoint

        pk = UnicodeAttribute(hash_key=True)
        sk = UnicodeAttribute(range_key=True)

    with pytest.raises(GetError) as caught:
        Row.get("a", "b")
    found = unavailable("The read models", caught.value)
    assert isinstance(found, AccessDenied)
    assert found.extra == {
        "action": "dynamodb:GetItem",
        "resource": f"table/{cloud.resources.read_models_table}",
    }
