from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.local.access import CloudAccess
from infra.local.errors import TemplateRefused
from infra.local.provision import TEMPLATE, Resources, provision
from infra.local.resources import KINDS
from infra.local.template import Template

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
}


def load(**parameters: str) -> Template:
    return Template.load(TEMPLATE, parameters, PSEUDO)


def properties(template: Template, name: str) -> Any:
    attributes = {
        each.name: {"Ref": f"ref-{each.name}", "Arn": f"arn-{each.name}"}
        for each in template.in_order()
    }
    (found,) = [each for each in template.in_order() if each.name == name]
    return template.resolve(found.properties, attributes)


def small(tmp_path: Path, text: str, **parameters: str) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    return Template.load(path, parameters, PSEUDO)


def test_parameters_name_everything_and_reach_the_properties() -> None:
    template = load(Stage="blue", SeparationVisibilitySeconds="90", AllowedOrigins="https://a, b")
    assert properties(template, "EventsTable")["TableName"] == "splitsound-blue-events"
    assert properties(template, "SeparationQueue")["VisibilityTimeout"] == 90
    bucket = properties(template, "MediaBucket")
    assert bucket["BucketName"] == "splitsound-blue-media-123456789012-eu-west-1"
    assert bucket["CorsConfiguration"]["CorsRules"][0]["AllowedOrigins"] == ["https://a", "b"]


def test_resources_come_after_what_they_refer_to() -> None:
    ordered = load().in_order()
    seen: set[str] = set()
    for each in ordered:
        assert each.needs <= seen
        seen.add(each.name)


def test_the_local_stack_knows_every_declared_type_and_every_resource_has_an_output() -> None:
    template = load(RequireTls="false", Place="laptop")
    assert {each.type for each in template.in_order()} <= KINDS.keys()
    assert len(template.outputs) == len(Resources.__struct_fields__)
    on_aws = load()
    assert {each.type for each in on_aws.in_order()} - KINDS.keys() == {
        "AWS::Events::Archive", "AWS::KMS::Alias", "AWS::KMS::Key", "AWS::Logs::LogGroup",
        "AWS::Serverless::Function", "AWS::Serverless::LayerVersion",
    }  # fmt: skip
    assert on_aws.outputs.keys() - template.outputs.keys() == {
        "DigestKey", "KeysKey", "KeysTable",
    }  # fmt: skip


def test_work_is_woken_by_fresh_commits_only_and_projections_by_all() -> None:
    template = load()
    fresh = [{"exists": False}]
    separations = ["SeparationRequested", "SeparationRequeued", "SeparationHandedBack"]
    rules: list[tuple[str, list[str], dict[str, Any]]] = [
        ("SeparationRule", separations, {"lane": ["short", {"exists": False}]}),
        ("LongSeparationRule", separations, {"lane": ["long"]}),
        ("GpuSeparationRule", separations, {"lane": ["gpu-short"]}),
        ("GpuLongSeparationRule", separations, {"lane": ["gpu-long"]}),
        ("ProbeRule", ["UploadCompleted"], {}),
    ]
    for rule, events, lane in rules:
        assert properties(template, rule)["EventPattern"] == {
            "source": ["splitsound"],
            "detail": {"types": events, "origin": fresh, **lane},
        }
    assert properties(template, "ProjectionsRule")["EventPattern"] == {"source": ["splitsound"]}


def test_queues_have_dead_letters_and_ask_for_tls_on_aws_only() -> None:
    on_aws, locally = load(), load(RequireTls="false")
    for name, kind in [
        (f"{lane}Separation", "Separation") for lane in ("", "Long", "Gpu", "GpuLong")
    ] + [
        ("Probe", "Probe"),
        ("Projections", "Projections"),
    ]:
        redrive = properties(on_aws, f"{name}Queue")["RedrivePolicy"]
        assert redrive == {"deadLetterTargetArn": f"arn-{kind}DeadLetters", "maxReceiveCount": 5}
        policy = properties(on_aws, f"{kind}QueuePolicy")
        assert {f"ref-{name}Queue", f"ref-{kind}DeadLetters"} <= set(policy["Queues"])
        statements = policy["PolicyDocument"]["Statement"]
        assert [statement["Sid"] for statement in statements] == ["RuleSends", "TlsOnly"]
        senders = statements[0]["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert f"arn-{name}Rule" in ([senders] if isinstance(senders, str) else senders)
        statements = properties(locally, f"{kind}QueuePolicy")["PolicyDocument"]["Statement"]
        assert [statement["Sid"] for statement in statements] == ["RuleSends"]
    assert "MediaBucketPolicy" in {each.name for each in on_aws.in_order()}
    assert "MediaBucketPolicy" not in {each.name for each in locally.in_order()}


def test_digests_are_locked_as_the_parameters_say_and_outlive_the_stack() -> None:
    template = load(AuditRetentionMode="COMPLIANCE", AuditRetentionDays="30")
    bucket = properties(template, "AuditBucket")
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rule = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert rule == {"Mode": "COMPLIANCE", "Days": 30}
    key = properties(template, "DigestKey")
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    text = TEMPLATE.read_text()
    for name in ("AuditBucket", "DigestKey"):
        declared = text.partition(f"\n  {name}:\n")[2].partition("Properties:")[0]
        assert "DeletionPolicy: Retain" in declared
        assert "UpdateReplacePolicy: Retain" in declared


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"Stag": "dev"}, "Unknown parameters"),
        ({"Stage": "No Capitals"}, "must match"),
        ({"RequireTls": "maybe"}, "is one of"),
        ({"SeparationVisibilitySeconds": "5"}, "from 10 to 43200"),
        ({"SeparationVisibilitySeconds": "soon"}, "whole number"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, str], complaint: str) -> None:
    with pytest.raises(TemplateRefused, match=complaint):
        load(**parameters)


def test_expressions(tmp_path: Path) -> None:
    template = small(
        tmp_path,
        """
        Parameters: {Size: {Type: Number, Default: 3}, Mood: {Type: String, Default: calm}}
        Conditions: {Big: !Not [!Equals [!Ref Size, 3]]}
        Resources:
          A:
            Type: T
            Properties:
              Joined: !Join ["-", [a, !Ref Mood, !GetAtt B.Arn]]
              Chosen: !If [Big, large, small]
              Gone: !Ref AWS::NoValue
              List: [1, !If [Big, 2, !Ref AWS::NoValue], 3]
              Text: !Sub "${Mood}/${B}/${B.Arn}/${AWS::Region}/${!Literal}"
          B: {Type: T}
        """,
    )
    assert [each.name for each in template.in_order()] == ["B", "A"]
    resolved = template.resolve(
        template.in_order()[1].properties, {"B": {"Ref": "b", "Arn": "arn-b"}}
    )
    assert resolved == {
        "Joined": "a-calm-arn-b",
        "Chosen": "small",
        "List": [1, 3],
        "Text": "calm/b/arn-b/eu-west-1/${!Literal}",
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Resources: {A: {Type: T, Properties: {X: !GetAtt B.Arn}}, B: {Type: T}}", "has no Arn"),
        ("Resources: {A: {Type: T, Properties: {X: !Select [0, [a]]}}}", "Fn::Select"),
        ("Resources: {A: {Type: T, Properties: {X: !Sub ['${a}', {a: b}]}}}", "Fn::Sub"),
    ],
)
def test_what_it_does_not_know_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    template = small(tmp_path, text)
    with pytest.raises(TemplateRefused, match=complaint):
        [template.resolve(each.properties, {}) for each in template.in_order()]


def test_circles_are_refused(tmp_path: Path) -> None:
    text = "Resources: {A: {Type: T, Properties: {X: !Ref B}}, B: {Type: T, DependsOn: A}}"
    with pytest.raises(TemplateRefused, match=r"refer to each other: \['A', 'B'\]"):
        small(tmp_path, text).in_order()


def test_other_resource_types_are_refused_before_anything_is_created(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(
        "Parameters: {RequireTls: {Type: String}, Place: {Type: String}}\n"
        "Resources: {T: {Type: 'AWS::DynamoDB::Table'}, F: {Type: 'AWS::Lambda::Function'}}"
    )
    nowhere = CloudAccess("http://127.0.0.1:9", "key", "secret")
    with pytest.raises(TemplateRefused, match=r"F \(AWS::Lambda::Function\).*AWS::SQS::Queue"):
        provision(nowhere, template=path)
