"""``splitsound doctor --stage``: a stage as it should be, and each thing that may not be."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto.cloudformation.models import cloudformation_backends
from moto.ecs.models import ecs_backends
from moto.server import ThreadedMotoServer

from handlers.cli.checks.stage import Stage, expected
from infra.local.template import Template
from tests.handlers.cli import stages
from tests.handlers.cli.operators import splitsound
from tests.handlers.cli.stages import (
    ACCOUNT,
    API,
    DOMAIN,
    FRONT,
    NAME,
    REGION,
    Cloud,
    Internet,
    examined,
)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, REGION)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(aws: str) -> Callable[[str], Any]:
    return Stage(NAME, DOMAIN).client


@pytest.fixture(scope="module")
def deployed(aws: str) -> Cloud:
    return Cloud()


@pytest.fixture
def internet() -> Iterator[Internet]:
    with stages.internet() as there:
        yield there


@pytest.fixture
def stage(aws: str, client: Callable[[str], Any], internet: Internet) -> Stage:
    """Nothing is deployed yet."""
    httpx.post(f"{aws}/moto-api/reset").raise_for_status()
    there = Stage(NAME, DOMAIN, internet.url, internet.url)
    there.client = client
    return there


@pytest.fixture
def cloud(stage: Stage, deployed: Cloud) -> Cloud:
    """All is."""
    deployed.deploy()
    _run(1)
    return deployed


def _run(count: int) -> None:
    """Moto runs no tasks; so many are told to run, of so many wanted."""
    (service,) = ecs_backends[ACCOUNT][REGION].services.values()
    service.running_count, service.desired_count = count, max(1, count)


def _state(name: str, state: str) -> None:
    for stack in cloudformation_backends[ACCOUNT][REGION].stacks.values():
        if stack.name == f"splitsound-{NAME}-{name}":
            stack.status = state


def _cut(cloud: Cloud, name: str) -> None:
    cloud.formation.delete_stack(StackName=f"splitsound-{NAME}-{name}")


def _nobody_signs_in(cloud: Cloud, internet: Internet) -> None:
    cloud.keep(oidc_providers="")
    internet.offered.clear()


def test_a_stage_that_is_as_it_should_be(cloud: Cloud, stage: Stage) -> None:
    found = examined(stage)
    assert {check.state for check in found.values()} == {"ok"}, found
    assert len(found) == 21


Break = Callable[[Cloud, Internet], object]
# A check, what is done to the stage, what is then found, and what to do about it.
MISMATCHES: dict[str, tuple[str, Break, str, str]] = {
    "stack missing": ("stack network", lambda c, _: _cut(c, "network"), "is not there", "deploy"),
    "stack failed": (
        "stack api", lambda *_: _state("api", "UPDATE_ROLLBACK_FAILED"),
        "splitsound-prod-api is UPDATE_ROLLBACK_FAILED", "describe-stack-events",
    ),
    "stack never made": (
        "stack data", lambda *_: _state("data", "ROLLBACK_COMPLETE"), "ROLLBACK_COMPLETE", "events"
    ),
    "stack under way": (
        "stack api", lambda *_: _state("api", "UPDATE_IN_PROGRESS"), "IN_PROGRESS", "look again"
    ),
    "no task": ("API service", lambda *_: _run(0), "0 tasks of 1", "/splitsound/prod/api"),
    "issuer": (
        "issuer", lambda c, _: c.tell(SPLITSOUND_ISSUER="https://api.old.com"),
        "SPLITSOUND_ISSUER https://api.old.com, not https://api.example.com", "DOMAIN=example.com",
    ),
    "public url": (
        "public url", lambda c, _: c.tell(SPLITSOUND_PUBLIC_URL=""),
        "SPLITSOUND_PUBLIC_URL empty, not https://api.example.com", "DOMAIN=example.com",
    ),
    "origins": (
        "allowed origins", lambda c, _: c.tell(SPLITSOUND_ALLOWED_ORIGINS="*"),
        "SPLITSOUND_ALLOWED_ORIGINS *, not https://example.com", "DOMAIN=example.com",
    ),
    "return url": (
        "checkout return url",
        lambda c, _: c.tell(SPLITSOUND_CHECKOUT_RETURN_URL="https://old.com/credits"),
        "not https://example.com/credits", "DOMAIN=example.com",
    ),
    "bucket of another origin": (
        "bucket CORS", lambda c, _: c.allow("https://old.com", ["PUT", "GET"], ["ETag"]),
        "allows no PUT from https://example.com (origins: https://old.com)", "AllowedOrigins",
    ),
    "bucket read only": (
        "bucket CORS", lambda c, _: c.allow(FRONT, ["GET"], ["ETag"]), "allows no PUT", "deploy"
    ),
    "bucket hides etag": (
        "bucket CORS", lambda c, _: c.allow(FRONT, ["PUT", "GET"], []), "hides the ETag", "deploy"
    ),
    "bucket without rules": (
        "bucket CORS", lambda c, _: c.s3.delete_bucket_cors(Bucket=c.bucket),
        "NoSuchCORSConfiguration", "deploy",
    ),
    "dead letter": (
        "dead letters",
        lambda c, _: c.sqs.send_message(
            QueueUrl=c.sqs.get_queue_url(QueueName="splitsound-prod-probe-dlq")["QueueUrl"],
            MessageBody="dead",
        ),
        "1 message in probe-dlq", "dead-letters list",
    ),
    "secret gone": (
        "secrets",
        lambda c, _: c.secrets.delete_secret(
            SecretId="splitsound/prod/secrets", ForceDeleteWithoutRecovery=True
        ),
        "cannot be read (ResourceNotFoundException)", "GetSecretValue",
    ),
    "secret no json": (
        "secrets",
        lambda c, _: c.secrets.put_secret_value(
            SecretId="splitsound/prod/secrets", SecretString="sk_live_1"
        ),
        "no JSON object", "stripe_api_key",
    ),
    "api broken": (
        "API from outside", lambda _, i: i.answers.update({"/healthz": (503, {}, "")}),
        "answers 503", "load balancer",
    ),
    "no keys": (
        "keys of tokens",
        lambda _, i: i.answers.update({"/.well-known/jwks.json": (200, {}, "{}")}),
        "has no keys", "deploy",
    ),
    "somebody else's page": (
        "keys of tokens",
        lambda _, i: i.answers.update({"/.well-known/jwks.json": (200, {}, "<html>")}),
        "and no JSON", "leads elsewhere",
    ),
    "api of another origin": (
        "CORS of the API", lambda _, i: i.allowed.clear(), "allowed: nobody", "ALLOWED_ORIGINS"
    ),
    "api without cookie": (
        "CORS of the API",
        lambda _, i: i.answers.update(
            {"/v1/jobs": (204, {"Access-Control-Allow-Origin": FRONT}, "")}
        ),
        "may not send the session cookie", "not *",
    ),
    "nobody signs in": (
        "sign-in providers", _nobody_signs_in,
        "nobody can sign in", "oidc_providers",
    ),
    "old tasks": (
        "sign-in providers", lambda _, i: i.offered.clear(),
        "names acme, the API offers nobody", "--force-new-deployment",
    ),
    "providers no json": (
        "sign-in providers", lambda c, _: c.keep(oidc_providers="acme"), "no JSON list", "README"
    ),
    "redirect elsewhere": (
        "sign-in: acme", lambda _, i: setattr(i, "redirect", "https://api.old.com/cb"),
        "told to send people to https://api.old.com/cb", "PUBLIC_URL",
    ),
    "redirect unregistered": (
        "sign-in: acme", lambda _, i: setattr(i, "registered", "https://api.old.com/cb"),
        "acme refuses the sign-in (status 400)", f"Register {API}/v1/auth/callback",
    ),
    "sign-in does not begin": (
        "sign-in: acme",
        lambda _, i: i.answers.update(
            {"/v1/auth/acme/login": (503, {}, '{"detail": "acme does not answer."}')}
        ),
        "status 503: acme does not answer.", "oidc_providers",
    ),
    "webhook elsewhere": (
        "Stripe webhook", lambda _, i: i.endpoint.update(url="https://api.old.com/v1/x"),
        f"sends to https://api.old.com/v1/x, not to {API}/v1/webhooks/stripe", "dashboard",
    ),
    "webhook with a slash": (
        "Stripe webhook", lambda _, i: i.endpoint.update(url=f"{API}/v1/webhooks/stripe/"),
        "not to", "dashboard",
    ),
    "webhook off": (
        "Stripe webhook", lambda _, i: i.endpoint.update(status="disabled"), "is disabled", "Enable"
    ),
    "webhook of too little": (
        "Stripe webhook",
        lambda _, i: i.endpoint.update(enabled_events=i.endpoint["enabled_events"][1:]),
        "is not sent charge.dispute.closed", "Add these event types",
    ),
    "stripe refuses the key": (
        "Stripe webhook",
        lambda _, i: i.answers.update({"/v1/webhook_endpoints": (401, {}, '{"error": {}}')}),
        "Stripe did not let us in (401)", "stripe_api_key",
    ),
    "no signing secret": (
        "Stripe webhook", lambda c, _: c.keep(stripe_webhook_secrets=""), "is empty", "signing"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISMATCHES)
def test_each_mismatch_is_found_with_what_to_do(
    name: str, cloud: Cloud, stage: Stage, internet: Internet
) -> None:
    failing, spoil, told, todo = MISMATCHES[name]
    spoil(cloud, internet)
    found = examined(stage)
    check = found[failing]
    assert check.state == "failed"
    assert told in check.found
    assert todo in check.todo
    assert not any("should not happen" in each.todo for each in found.values())
    assert not any(secret in str(found) for secret in ("sk_test_1", "sk_live_1", "whsec_1"))


def test_what_need_not_be_is_no_failure(cloud: Cloud, stage: Stage, internet: Internet) -> None:
    _cut(cloud, "workers")
    _state("api", "UPDATE_ROLLBACK_COMPLETE")
    cloud.keep(stripe_api_key="")
    internet.endpoint["enabled_events"] = ["*"]
    cloud.tell(SPLITSOUND_ALLOWED_ORIGINS=f"https://other.com, {FRONT}")
    found = examined(stage)
    assert {check.state for check in found.values()} == {"ok", "skipped"}, found
    assert "need not be" in found["stack workers"].found
    assert "last change failed" in found["stack api"].found
    assert "nothing is sold" in found["Stripe"].found


def test_a_stage_that_was_never_deployed(stage: Stage) -> None:
    found = examined(stage)
    failed = {name for name, check in found.items() if check.state == "failed"}
    assert {"stack access", "stack api", "API service", "issuer", "bucket CORS",
            "dead letters", "secrets"} <= failed  # fmt: skip
    assert not any("should not happen" in check.todo for check in found.values()), found


@pytest.mark.usefixtures("cloud")
def test_an_api_that_nobody_reaches(stage: Stage) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        stage.base = f"http://127.0.0.1:{closed.getsockname()[1]}"
        check = examined(stage)["API from outside"]
    assert check.state == "failed"
    assert "cannot be reached" in check.found
    assert "LoadBalancerName" in check.todo


def test_without_credentials_what_anybody_sees_is_still_checked(
    stage: Stage, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", internet.url)
    refused = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"
    internet.answers["/"] = (403, {}, refused)
    stage.client = Stage(NAME, DOMAIN).client
    found = examined(stage)
    assert "AWS does not take the credentials" in found["account"].found
    assert found["sign-in: acme"].state == "ok"
    assert "stack api" not in found


def test_tasks_are_told_what_the_doctor_expects() -> None:
    pseudo = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws",
              "AWS::URLSuffix": "amazonaws.com"}  # fmt: skip
    asked = {"Stage": NAME, "Domain": DOMAIN, "ImageTag": "1", "CertificateArn": "arn:aws:acm:x"}
    template = Template.load(stages.API_STACK, asked, pseudo)
    (definition,) = (each for each in template.in_order() if each.name == "Definition")
    environment = definition.properties["ContainerDefinitions"][0]["Environment"]
    told = {each["Name"]: each["Value"] for each in template.resolve(environment, {})}
    ours = expected(Stage(NAME, DOMAIN))
    assert {name: told[name] for name in ours} == ours


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stage", "prod"], "Name both"),
        (["--domain", "example.com"], "Name both"),
        (["--stage", "Prod!", "--domain", "example.com"], "A stage is"),
        (["--stage", "prod", "--domain", "https://example.com"], "A domain is"),
    ],
)
def test_a_stage_and_its_domain_are_both_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = splitsound(capsys, "doctor", *arguments)
    assert done.code == 2
    assert said in done.err


@pytest.mark.usefixtures("cloud")
def test_the_command_fails_when_a_check_does(capsys: pytest.CaptureFixture[str]) -> None:
    # The name leads nowhere here.
    done = splitsound(capsys, "doctor", "--stage", NAME, "--domain", "example.invalid", "--json")
    answer = json.loads(done.out)
    states = {each["name"]: each["state"] for each in answer["checks"]}
    assert (done.code, answer["ok"]) == (1, False)
    assert states["API from outside"] == states["issuer"] == "failed"
    assert states["stack api"] == "ok"


@pytest.mark.usefixtures("cloud")
def test_a_certificate_of_nobody_known_is_told(stage: Stage, tmp_path: Path) -> None:
    with stages.self_signed(tmp_path) as url:
        stage.base = url
        check = examined(stage)["API from outside"]
    assert "refuse the certificate of https://api.example.com" in check.found
    assert "CERTIFICATE=" in check.todo
