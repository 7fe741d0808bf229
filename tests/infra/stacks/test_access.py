"""Each role may do what its process does, and nothing of what it must never do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.stacks.policies import ACCOUNT, REGION, STAGE, allows, document, roles, statements

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/splitsound-{STAGE}-"
BUCKET = f"arn:aws:s3:::splitsound-{STAGE}-media-{ACCOUNT}-{REGION}"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:splitsound-{STAGE}-"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/splitsound-{STAGE}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
ALIAS = {"kms_ResourceAliases": f"alias/splitsound-{STAGE}-keys"}
ORIGINAL = f"{BUCKET}/user_usr_1/originals/ast_1/original"
STEM = f"{BUCKET}/user_usr_1/jobs/job_1/output/1/vocals.flac"
SIGNER = f"arn:aws:iam::{ACCOUNT}:role/splitsound-{STAGE}-signer"

Call = tuple[str, str, dict[str, str]]


def on(stream: str) -> dict[str, str]:
    return {"dynamodb_LeadingKeys": stream}


# What: (the roles that may; nobody else of all roles may).
MATRIX: list[tuple[str, str, dict[str, str], set[str]]] = [
    # events
    ("dynamodb:PutItem", TABLE + "events", on("job-job_1"),
     {"ApiRole", "WorkerRole", "SmallRole", "SweeperRole", "JanitorRole"}),
    ("dynamodb:PutItem", TABLE + "events", on("credits-usr_1"),
     {"ApiRole", "WorkerRole", "SmallRole", "SweeperRole", "JanitorRole"}),
    ("dynamodb:PutItem", TABLE + "events", on("user-usr_1"),
     {"ApiRole", "SmallRole", "SweeperRole", "DelivererRole", "JanitorRole"}),
    ("dynamodb:PutItem", TABLE + "events", on("purchase-pur_1"),
     {"ApiRole", "SmallRole", "SweeperRole", "JanitorRole"}),
    ("dynamodb:Query", TABLE + "events", {},
     {"ApiRole", "WorkerRole", "SmallRole", "ProjectorRole", "SweeperRole", "DelivererRole",
      "JanitorRole"}),
    ("dynamodb:DeleteItem", TABLE + "events", {}, set()),
    ("dynamodb:UpdateItem", TABLE + "events", {}, set()),
    ("dynamodb:BatchWriteItem", TABLE + "events", {}, set()),
    ("dynamodb:DeleteTable", TABLE + "events", {}, set()),
    ("dynamodb:GetRecords", TABLE + "events/stream/2026", {}, {"RelayRole"}),
    ("events:PutEvents", BUS, {}, {"RelayRole"}),
    # rows
    ("dynamodb:PutItem", TABLE + "read-models", {},
     {"ApiRole", "SmallRole", "ProjectorRole", "SweeperRole", "DelivererRole", "JanitorRole"}),
    ("dynamodb:Query", TABLE + "read-models/index/by_owner", {},
     {"ApiRole", "WorkerRole", "SmallRole", "ProjectorRole", "SweeperRole", "DelivererRole",
      "JanitorRole"}),
    ("dynamodb:BatchWriteItem", TABLE + "read-models", {},
     {"ApiRole", "SmallRole", "ProjectorRole", "SweeperRole", "DelivererRole", "JanitorRole"}),
    ("dynamodb:DeleteItem", TABLE + "read-models", {}, {"JanitorRole"}),
    # secrets
    ("dynamodb:GetItem", TABLE + "keys", {},
     {"ApiRole", "SmallRole", "DelivererRole", "JanitorRole"}),
    ("dynamodb:DeleteItem", TABLE + "keys", {}, {"JanitorRole"}),
    ("dynamodb:Scan", TABLE + "keys", {}, set()),
    ("kms:Decrypt", KEY, ALIAS, {"ApiRole", "SmallRole", "DelivererRole", "JanitorRole"}),
    ("kms:Decrypt", KEY, {"kms_ResourceAliases": "alias/another"}, set()),
    ("kms:Sign", KEY, {"kms_ResourceAliases": f"alias/splitsound-{STAGE}-digests"}, set()),
    ("secretsmanager:GetSecretValue",
     f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:splitsound/{STAGE}/secrets-AbC",
     {}, {"ExecutionRole"}),
    # media
    ("s3:GetObject", ORIGINAL, {},
     {"ApiRole", "SignerRole", "WorkerRole", "SmallRole", "JanitorRole"}),
    ("s3:GetObject", STEM, {}, {"SignerRole", "WorkerRole", "SmallRole", "JanitorRole"}),
    ("s3:PutObject", ORIGINAL, {}, {"ApiRole", "SignerRole", "SmallRole"}),
    ("s3:PutObject", STEM, {}, {"WorkerRole", "SmallRole"}),
    ("s3:PutObject", f"{BUCKET}/elsewhere", {}, set()),
    ("s3:DeleteObject", ORIGINAL, {}, {"JanitorRole"}),
    ("s3:DeleteObject", STEM, {}, {"JanitorRole"}),
    ("s3:DeleteObject", f"{BUCKET}/hosted/x", {}, {"WorkerRole", "SmallRole"}),
    ("s3:ListBucket", BUCKET, {}, {"ApiRole", "WorkerRole", "SmallRole", "JanitorRole"}),
    ("s3:PutBucketPolicy", BUCKET, {}, set()),
    ("s3:GetObject", f"arn:aws:s3:::splitsound-{STAGE}-audit-{ACCOUNT}-{REGION}/x", {}, set()),
    ("s3:GetObject", ORIGINAL.replace(STAGE, "staging"), {}, set()),
    # queues
    ("sqs:ReceiveMessage", QUEUE + "separation-gpu", {}, {"WorkerRole", "SmallRole"}),
    ("sqs:ReceiveMessage", QUEUE + "probe", {}, {"WorkerRole", "SmallRole"}),
    ("sqs:ReceiveMessage", QUEUE + "projections", {}, {"ProjectorRole"}),
    ("sqs:ReceiveMessage", QUEUE + "webhooks", {}, {"DelivererRole"}),
    ("sqs:ReceiveMessage", QUEUE + "janitor", {}, {"JanitorRole"}),
    ("sqs:ReceiveMessage", QUEUE + "separation-dlq", {}, {"SweeperRole"}),
    ("sqs:ReceiveMessage", QUEUE + "webhooks-dlq", {}, {"SweeperRole", "DelivererRole"}),
    ("sqs:SendMessage", QUEUE + "separation", {}, {"SweeperRole"}),
    ("sqs:GetQueueAttributes", QUEUE + "separation", {},
     {"ApiRole", "WorkerRole", "SmallRole", "SweeperRole"}),
    ("sqs:PurgeQueue", QUEUE + "separation", {}, set()),
    # tasks
    ("ecs:UpdateTaskProtection",
     f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/splitsound-{STAGE}/abc", {},
     {"WorkerRole", "SmallRole"}),
    ("ecs:StopTask", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/splitsound-{STAGE}/abc", {}, set()),
    # each other
    ("sts:AssumeRole", SIGNER, {}, {"ApiRole", "SmallRole"}),
    ("sts:AssumeRole", SIGNER.replace("signer", "janitor"), {}, set()),
    ("iam:PassRole", SIGNER, {}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("action", "resource", "context", "who"), MATRIX)
def test_who_may(action: str, resource: str, context: dict[str, str], who: set[str]) -> None:
    assert {role for role in roles() if allows(role, action, resource, **context)} == who


# Calls that know no resource, by AWS's service authorization reference.
WITHOUT_RESOURCE = {"dynamodb:ListStreams", "ecr:GetAuthorizationToken"}


@pytest.mark.parametrize("role", list(roles()))
def test_no_stars(role: str) -> None:
    for each in statements(role):
        actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
        assert not [action for action in actions if "*" in action]
        if each["Resource"] == "*":
            assert set(actions) <= WITHOUT_RESOURCE


def test_roles_are_assumed_by_one_service_each() -> None:
    def principal(role: str) -> Any:
        trust = document("access")["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]
        [statement] = trust["Statement"]
        return statement["Principal"].get("Service")

    assert {role: principal(role) for role in roles()} == {
        "ApiRole": "ecs-tasks.amazonaws.com",
        "SmallRole": "ecs-tasks.amazonaws.com",
        "WorkerRole": "ecs-tasks.amazonaws.com",
        "ExecutionRole": "ecs-tasks.amazonaws.com",
        "SignerRole": None,  # by the roles of the API
        "RelayRole": "lambda.amazonaws.com",
        "ProjectorRole": "lambda.amazonaws.com",
        "SweeperRole": "lambda.amazonaws.com",
        "DelivererRole": "ecs-tasks.amazonaws.com",
        "JanitorRole": "lambda.amazonaws.com",
    }
