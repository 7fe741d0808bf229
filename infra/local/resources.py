"""Create each kind of declared resource, or bring an existing one to what is declared.

Every function takes the clients and the resolved properties, does nothing that is already so,
and returns what ``Ref`` and ``GetAtt`` of the resource give. It knows the properties that the
template uses; another one is refused, since ignoring it would make the local stack differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from infra.local.errors import TemplateRefused

Clients = Callable[[str], Any]
Properties = dict[str, Any]
Attributes = dict[str, str]


def table(clients: Clients, given: Properties) -> Attributes:
    """A DynamoDB table; an existing one gains missing indexes and its stream."""
    dynamodb = clients("dynamodb")
    rest = dict(given)
    recovery = rest.pop("PointInTimeRecoverySpecification", None)
    expiry = rest.pop("TimeToLiveSpecification", None)
    request = _known("AWS::DynamoDB::Table", rest, _TABLE_REQUEST)
    if "StreamSpecification" in request:
        request["StreamSpecification"] = {"StreamEnabled": True, **request["StreamSpecification"]}
    name = request["TableName"]
    try:
        found = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        found = dynamodb.create_table(**request)["TableDescription"]
    else:
        found = _converged(dynamodb, found, request)
    if found["TableStatus"] != "ACTIVE":
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    if recovery:
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=recovery
        )
    if expiry:
        _expire(dynamodb, name, expiry)
    return {"Ref": name, "Arn": found["TableArn"], "StreamArn": found.get("LatestStreamArn", "")}


_TABLE_REQUEST = {
    "TableName",
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "StreamSpecification",
    "DeletionProtectionEnabled",
}


def _converged(dynamodb: Any, found: Properties, request: Properties) -> Properties:
    name = request["TableName"]
    if found["KeySchema"] != request["KeySchema"]:
        raise TemplateRefused(f"Table {name} exists with other keys; export, clean, import.")
    have = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}
    for index in request.get("GlobalSecondaryIndexes", []):
        if index["IndexName"] not in have:
            dynamodb.update_table(
                TableName=name,
                AttributeDefinitions=request["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": index}],
            )
    if "StreamSpecification" in request and not found.get("LatestStreamArn"):
        dynamodb.update_table(TableName=name, StreamSpecification=request["StreamSpecification"])
    changed: Properties = dynamodb.describe_table(TableName=name)["Table"]
    return changed


def _expire(dynamodb: Any, name: str, expiry: Properties) -> None:
    # AWS refuses to enable what is enabled, so look first.
    now = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if now.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def event_bus(clients: Clients, given: Properties) -> Attributes:
    """An EventBridge bus."""
    events = clients("events")
    request = _known("AWS::Events::EventBus", given, {"Name"})
    try:
        arn = events.describe_event_bus(**request)["Arn"]
    except events.exceptions.ResourceNotFoundException:
        arn = events.create_event_bus(**request)["EventBusArn"]
    return {"Ref": request["Name"], "Name": request["Name"], "Arn": arn}


def rule(clients: Clients, given: Properties) -> Attributes:
    """An EventBridge rule with exactly the declared targets."""
    events = clients("events")
    request = _known("AWS::Events::Rule", given, _RULE_REQUEST)
    targets = request.pop("Targets", [])
    request["EventPattern"] = json.dumps(request["EventPattern"])
    arn = events.put_rule(**request)["RuleArn"]
    place = {"Rule": request["Name"], "EventBusName": request["EventBusName"]}
    found = events.list_targets_by_rule(**place)["Targets"]
    if surplus := {target["Id"] for target in found} - {target["Id"] for target in targets}:
        events.remove_targets(**place, Ids=sorted(surplus))
    failed = events.put_targets(**place, Targets=targets)["FailedEntries"] if targets else []
    if failed:
        raise TemplateRefused(f"Rule {request['Name']}: targets refused: {failed}.")
    return {"Ref": request["Name"], "Arn": arn}


_RULE_REQUEST = {"Name", "Description", "EventBusName", "State", "EventPattern", "Targets"}


def queue(clients: Clients, given: Properties) -> Attributes:
    """An SQS queue."""
    sqs = clients("sqs")
    rest = _known("AWS::SQS::Queue", given, {"QueueName", *_QUEUE_ATTRIBUTES})
    name = rest.pop("QueueName")
    wanted = {key: _attribute_text(value) for key, value in rest.items()}
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        url = sqs.create_queue(QueueName=name, Attributes=wanted)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    changed = {key: value for key, value in wanted.items() if not _same(found.get(key), value)}
    if changed:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
    # The emulator remembers the address that it had when it made the queue.
    here = sqs.meta.endpoint_url + urlsplit(url).path
    return {"Ref": here, "Arn": found["QueueArn"], "QueueName": name}


_QUEUE_ATTRIBUTES = {
    "VisibilityTimeout",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "SqsManagedSseEnabled",
    "RedrivePolicy",
}


def queue_policy(clients: Clients, given: Properties) -> Attributes:
    """One policy on each of several queues."""
    request = _known("AWS::SQS::QueuePolicy", given, {"Queues", "PolicyDocument"})
    policy = json.dumps(request["PolicyDocument"])
    sqs = clients("sqs")
    for url in request["Queues"]:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        if not _same(found.get("Attributes", {}).get("Policy"), policy):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return {}


def bucket(clients: Clients, given: Properties) -> Attributes:
    """An S3 bucket with its configuration."""
    s3 = clients("s3")
    rest = _known("AWS::S3::Bucket", given, {"BucketName", "ObjectLockEnabled", *_BUCKET_PARTS})
    name = rest.pop("BucketName")
    lockable = {"ObjectLockEnabledForBucket": rest.pop("ObjectLockEnabled", False)}
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        region = s3.meta.region_name
        # us-east-1 is what no constraint means, and naming it is an error.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        placed = {"CreateBucketConfiguration": place} if place else {}
        s3.create_bucket(Bucket=name, **placed, **lockable)
    for part, (method, argument, reshape) in _BUCKET_PARTS.items():
        if part in rest:
            getattr(s3, method)(Bucket=name, **{argument: reshape(rest[part])})
    return {"Ref": name, "Arn": f"arn:aws:s3:::{name}"}


def _cors(given: Properties) -> Properties:
    # CloudFormation and the API disagree on three names.
    renamed = {"Id": "ID", "MaxAge": "MaxAgeSeconds", "ExposedHeaders": "ExposeHeaders"}
    return {
        "CORSRules": [
            {renamed.get(key, key): value for key, value in each.items()}
            for each in given["CorsRules"]
        ]
    }


def _encryption(given: Properties) -> Properties:
    rules = [
        {"ApplyServerSideEncryptionByDefault": each["ServerSideEncryptionByDefault"]}
        for each in given["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def _lifecycle(given: Properties) -> Properties:
    return {"Rules": [_lifecycle_rule(each) for each in given["Rules"]]}


def _lifecycle_rule(each: Properties) -> Properties:
    # The API wants to be told which objects a rule is for; CloudFormation means all of them.
    made: dict[str, Any] = {"Filter": {"Prefix": each.get("Prefix", "")}}
    for key, value in each.items():
        if key == "Id":
            made["ID"] = value
        elif key == "ExpirationInDays":
            made["Expiration"] = {"Days": value}
        elif key != "Prefix":
            made[key] = value
    return made


def _as_given(given: Properties) -> Properties:
    return given


_BUCKET_PARTS: Mapping[str, tuple[str, str, Callable[[Properties], Properties]]] = {
    "PublicAccessBlockConfiguration": (
        "put_public_access_block",
        "PublicAccessBlockConfiguration",
        _as_given,
    ),
    "OwnershipControls": ("put_bucket_ownership_controls", "OwnershipControls", _as_given),
    "BucketEncryption": (
        "put_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
    ),
    # Before the lock, which only a versioned bucket takes.
    "VersioningConfiguration": ("put_bucket_versioning", "VersioningConfiguration", _as_given),
    "ObjectLockConfiguration": (
        "put_object_lock_configuration",
        "ObjectLockConfiguration",
        _as_given,
    ),
    "CorsConfiguration": ("put_bucket_cors", "CORSConfiguration", _cors),
    "LifecycleConfiguration": (
        "put_bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        _lifecycle,
    ),
}


def bucket_policy(clients: Clients, given: Properties) -> Attributes:
    """The policy of a bucket."""
    request = _known("AWS::S3::BucketPolicy", given, {"Bucket", "PolicyDocument"})
    policy = json.dumps(request["PolicyDocument"])
    clients("s3").put_bucket_policy(Bucket=request["Bucket"], Policy=policy)
    return {}


KINDS: Mapping[str, Callable[[Clients, Properties], Attributes]] = {
    "AWS::DynamoDB::Table": table,
    "AWS::Events::EventBus": event_bus,
    "AWS::Events::Rule": rule,
    "AWS::SQS::Queue": queue,
    "AWS::SQS::QueuePolicy": queue_policy,
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": bucket_policy,
}
"""What the local stack can provision, by CloudFormation type."""


def _known(kind: str, given: Properties, known: set[str]) -> Properties:
    if unknown := given.keys() - known:
        raise TemplateRefused(
            f"{kind}: {sorted(unknown)} are not known to the local stack; it knows {sorted(known)}."
        )
    return dict(given)


def _attribute_text(value: Any) -> str:
    """Queue attributes are texts: numbers, true/false, and JSON for the rest."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _same(found: str | None, wanted: str) -> bool:
    if found is None or not wanted.startswith("{"):
        return found == wanted
    # A JSON document comes back with its own spacing, and numbers sometimes as texts.
    seen, asked = json.loads(found), json.loads(wanted)
    return {k: str(v) for k, v in seen.items()} == {k: str(v) for k, v in asked.items()}
