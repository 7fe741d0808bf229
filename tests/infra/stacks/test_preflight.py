"""What `make deploy` looks at first, where the emulator has no such account."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.stacks import concurrency, preflight

ACCOUNT = "123456789012"
ARN = f"arn:aws:acm:ap-southeast-1:{ACCOUNT}:certificate/1"


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "ap-southeast-1")
    monkeypatch.setattr(preflight, "_left", lambda *_: ())


def answering(monkeypatch: pytest.MonkeyPatch, service: str, call: str, answer: Any) -> None:
    client = boto3.client(service)
    stubber = Stubber(client)
    stubber.add_response(call, answer)
    stubber.activate()
    monkeypatch.setattr(boto3, "client", lambda _: client)


def certificate(**told: Any) -> dict[str, Any]:
    return {"Certificate": {"DomainName": "api.example.com", "Status": "ISSUED", **told}}


def test_a_certificate_for_all_names_of_the_domain_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = certificate(DomainName="example.com", SubjectAlternativeNames=["*.example.com"])
    answering(monkeypatch, "acm", "describe_certificate", told)
    assert list(preflight.complaints("prod", "example.com", ARN, ACCOUNT)) == []


def test_a_certificate_that_is_not_validated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = certificate(Status="PENDING_VALIDATION")
    answering(monkeypatch, "acm", "describe_certificate", told)
    assert preflight.main("prod", "example.com", ARN, ACCOUNT) == 1
    assert "is PENDING_VALIDATION: make its validation records" in capsys.readouterr().err


def test_a_name_too_long_for_buckets_of_that_region(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "acm", "describe_certificate", certificate())
    [told] = preflight.complaints("x" * 20, "example.com", ARN, ACCOUNT)
    assert told == (
        "in ap-southeast-1 the stage's name is too long for a bucket's: "
        "take 2 off 'xxxxxxxxxxxxxxxxxxxx'"
    )


@pytest.mark.parametrize(("at_once", "told"), [(1000, "true"), (101, "true"), (10, "false")])
def test_a_new_account_sets_nothing_aside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at_once: int, told: str
) -> None:
    limit = {"AccountLimit": {"ConcurrentExecutions": at_once}}
    answering(monkeypatch, "lambda", "get_account_settings", limit)
    assert concurrency.main() == 0
    out, err = capsys.readouterr()
    assert out == f"{told}\n"
    assert ("ask AWS for 1,000" in err) == (told == "false")
