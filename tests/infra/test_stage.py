"""The names that settings derive from a stage are those that the template gives."""

from __future__ import annotations

import re

import pytest

from domain.errors import Invalid
from infra.local.provision import TEMPLATE
from infra.local.template import Template
from infra.settings import from_environment
from infra.stage import QUEUES, names

ACCOUNT, REGION = "123456789012", "eu-central-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}  # fmt: skip
NAMED = ("TableName", "QueueName", "BucketName", "Name", "AliasName")
TYPES = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::Events::EventBus",
         "AWS::KMS::Alias")  # fmt: skip


def test_each_name_is_the_templates() -> None:
    template = Template.load(TEMPLATE, {"Stage": "prod"}, PSEUDO)
    declared = {
        template.resolve(each.properties[key], {})
        for each in template.in_order()
        if each.type in TYPES
        for key in NAMED
        if key in each.properties
    }
    found = names("prod", ACCOUNT, REGION)
    told = {value.rpartition("/")[2] if "https" in value else value for value in found.values()}
    assert told == declared


def test_each_output_that_settings_want_is_derived() -> None:
    outputs = Template.load(TEMPLATE, {}, PSEUDO).outputs
    snake = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in outputs}
    assert snake - {"events_stream_arn"} == names("dev", ACCOUNT, REGION).keys()
    assert QUEUES.keys() == {name for name in snake if name.endswith(("_queue", "_dlq"))}


def test_a_stage_is_all_that_a_process_has_to_be_told() -> None:
    told = {"SPLITSOUND_STAGE": "prod", "SPLITSOUND_ACCOUNT": ACCOUNT, "AWS_REGION": REGION}
    settings = from_environment(told)
    assert settings.events_table == "splitsound-prod-events"
    assert settings.probe_queue == (
        "https://sqs.eu-central-1.amazonaws.com/123456789012/splitsound-prod-probe"
    )
    assert settings.keys is None
    other = from_environment(told | {"SPLITSOUND_EVENTS_TABLE": "restored"})
    assert other.events_table == "restored"


@pytest.mark.parametrize("lacking", ["SPLITSOUND_ACCOUNT", "AWS_REGION"])
def test_what_a_stage_lacks_is_named(lacking: str) -> None:
    told = {"SPLITSOUND_STAGE": "prod", "SPLITSOUND_ACCOUNT": ACCOUNT, "AWS_REGION": REGION}
    with pytest.raises(Invalid, match=lacking):
        from_environment({k: v for k, v in told.items() if k != lacking})


def test_without_a_stage_missing_names_are_told() -> None:
    with pytest.raises(Invalid, match=r"SPLITSOUND_EVENTS_TABLE.*SPLITSOUND_STAGE"):
        from_environment({})
