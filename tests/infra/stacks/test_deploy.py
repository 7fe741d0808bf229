"""`make deploy` and `make destroy`, run as they are, into the emulator.

Real: both scripts, git, the SAM CLI (its parser, `sam build` with pip, packages and templates in
S3, change sets, waiting, deleting), CloudFormation and all services as far as ministack has them,
and `splitsound projections`. Not real: the templates lack what ministack refuses (see
``emulated``) and do not ask for TLS; docker is a program that writes down what it is asked, and so
is `splitsound smoke`, since https://api.DOMAIN is on no network here. That the files as they are
pass through sam unharmed is tested by itself, and so is what the real smoke test says of an API
that was told what its task's definition tells it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.bootstrap import Application
from infra.local.emulator import Emulator
from infra.local.ports import free_port
from infra.local.stack import adopted
from infra.local.template import CloudFormationLoader
from infra.settings import from_environment
from infra.stacks.quoting import quoted
from infra.stage import names
from projections.leveling import noted
from projections.projection import Projection
from projections.purchases import PURCHASES_VIEW
from tests.infra.stacks import emulated
from tests.infra.stacks.checkout import DOMAIN, NAMES, Checkout
from tests.infra.stacks.policies import ROOT, document

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1200)]

HOSTED = '[{"name": "sam audio", "says": "it\'s \\"large\\", really", "é": "\\u00e9"}]'
"""For REPLICATE_MODELS: all that a shell and sam may trip over."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One of our own: its functions are called each minute, which slows others down."""
    with Emulator(tmp_path_factory.mktemp("account")) as running:
        yield running


@pytest.fixture
def checkout(emulator: Emulator, tmp_path: Path) -> Checkout:
    access, stage = emulator.access, f"d{uuid.uuid4().hex[:8]}"
    parameter = {"Name": emulated.IMAGE, "Value": "ami-12345678", "Type": "String"}
    access.client("ssm").put_parameter(**parameter, Overwrite=True)
    return Checkout.made(tmp_path, access, stage)


# -------------------------------------------------------------------- what sam makes of it


def test_sam_takes_every_value_as_it_is() -> None:
    values = ["", "a b", HOSTED, "s3://bucket/a prefix", "a,b", "x=y Z=1", '"', "'", "\\ \\n"]
    arguments = [quoted(f"P{n}={value}") for n, value in enumerate(values)]
    code = (
        "import json, sys; from samcli.cli.types import CfnParameterOverridesType as Type\n"
        "json.dump(Type().convert(tuple(sys.argv[1:]), None, None), sys.stdout)"
    )
    python = ROOT / ".venv-sam" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {f"P{n}": value for n, value in enumerate(values)}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "data"])
def test_sam_sends_what_the_file_says(emulator: Emulator, tmp_path: Path, name: str) -> None:
    """As `sam deploy` does, which packages first; aliases and merged keys written out."""
    emulator.access.client("s3").create_bucket(Bucket="sent")
    source, sent = ROOT / "infra" / "stacks" / f"{name}.yaml", tmp_path / "sent.yaml"
    done = subprocess.run(
        [ROOT / ".venv-sam" / "bin" / "sam", "package", "--template-file", source,
         "--s3-bucket", "sent", "--output-template-file", sent],
        env=emulator.access.environment() | {"HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not [line for line in sent.read_text().splitlines() if "<<:" in line]
    found = _read(sent)
    for logical, resource in found["Resources"].items():
        assert resource.pop("Metadata") == {"SamResourceId": logical}
    assert found == _read(source)


def _read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=CloudFormationLoader)  # a SafeLoader


# -------------------------------------------------------------------- a stage, all its life


def test_a_stage_comes_changes_and_goes(checkout: Checkout) -> None:
    told = {
        "CERTIFICATE": checkout.certificate(),
        "REPLICATE_MODELS": HOSTED,
        "ALARM_EMAIL": "ops@example.com",
    }
    tag = checkout.git("rev-parse", "--short=12", "HEAD").strip()

    first = checkout.run("deploy", **told)
    assert first.returncode == 0, first.stdout + first.stderr
    assert checkout.stacks().keys() == set(NAMES)
    assert [stack for stack in _said(first.stdout) if stack in NAMES] == [
        "access", "data", "data", "network", "workers", "api", "observability",
    ]  # fmt: skip
    assert _images(checkout) == [f"api:{tag}", f"worker:{tag}"]
    assert checkout.parameters("access")["ModelsBucket"] == ""
    assert checkout.parameters("api")["ReplicateModels"] == HOSTED
    assert checkout.parameters("workers")["ImageTag"] == tag
    assert checkout.parameters("observability")["AlarmEmail"] == "ops@example.com"
    assert f"https://api.{DOMAIN} serves version {tag}" in first.stdout
    assert checkout.lines("commanded") == ["projections list --json", f"smoke https://api.{DOMAIN}"]
    assert _protected(checkout) == {"events": True, "keys": True}
    assert _layer_is_usable(checkout)

    again = checkout.run("deploy", **told)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("No changes to deploy") == len(NAMES)
    assert _images(checkout) == []
    assert again.stdout.count("is there") == 2
    assert [stack for stack in _said(again.stdout) if stack in NAMES] == list(NAMES)

    _was_projected(checkout, PURCHASES_VIEW)
    checkout.replace("projections/purchases.py", '"purchases", 1', '"purchases", 2')
    newer = checkout.commit()
    checkout.lines("commanded")
    gpu = checkout.run("deploy", GPU="on", MODELS="s3://songs/some models", **told)
    assert gpu.returncode == 0, gpu.stdout + gpu.stderr
    assert _images(checkout) == [f"api:{newer}", f"worker:{newer}", f"worker:{newer}-cuda"]
    rebuilt = f"projections rebuild purchases --reason deployment of {newer}"
    assert rebuilt in checkout.lines("commanded")
    assert checkout.parameters("workers")["Models"] == "s3://songs/some models"
    assert checkout.parameters("access")["ModelsBucket"] == "songs"

    (checkout.beside / "ill").touch()
    ill = checkout.run("deploy", GPU="on", **told)
    assert ill.returncode == 1
    assert "all stacks are deployed, but https://api.example.com does not answer" in ill.stderr
    assert checkout.parameters("access")["ModelsBucket"] == ""

    for answer in ("prod\n", ""):
        no = checkout.run("destroy", answer=answer)
        assert no.returncode == 1
        assert "Nothing was done." in no.stdout
        assert checkout.stacks().keys() == set(NAMES)

    gone = checkout.run("destroy", answer=f"{checkout.stage}\n")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert _said(gone.stdout) == [
        "observability", "api", "workers", "network", "data", "access",
    ]  # fmt: skip
    assert checkout.stacks() == {}
    assert all(_kept(checkout).values()), _kept(checkout)

    # What people own is not to be overwritten by the next stage of that name.
    anew = checkout.run("deploy", **told)
    assert anew.returncode == 1
    assert f"splitsound-{checkout.stage}-events" in anew.stderr
    assert "take another name for the stage" in anew.stderr
    assert checkout.stacks() == {}
    again = checkout.run("destroy", YES=checkout.stage)
    assert again.returncode == 0, again.stdout + again.stderr


def test_the_smallest_stage_serves_with_its_secrets_as_they_are_made(checkout: Checkout) -> None:
    done = checkout.run("deploy", SMALL="true", CERTIFICATE=checkout.certificate())
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(checkout.stacks()) == ["access", "data", "network", "api"]
    assert checkout.parameters("api")["WorkerInTask"] == "true"
    assert len(_images(checkout)) == 2
    with _api(checkout) as url:
        tried = _smoke(checkout, url)
    # All but `ready`: no projector runs here.
    assert {line.split()[0] for line in tried if "FAILED" not in line} >= {
        "lives",
        "offers",
        "keys",
    }


def test_what_fails_stops_the_rest_and_leaves_nothing_in_the_way(checkout: Checkout) -> None:
    told = {"SMALL": "true", "CERTIFICATE": checkout.certificate()}
    owned, taken = ["EventsTable", "KeysTable", "MediaBucket", "AuditBucket"], checkout.stage
    checkout.access.client("events").create_event_bus(Name=taken)
    right = yaml.safe_load((checkout.root / "template.yaml").read_text())
    wrong = {"Type": "AWS::Events::EventBus", "DependsOn": owned, "Properties": {"Name": taken}}
    checkout.write("data", {**right, "Resources": {**right["Resources"], "Wrong": wrong}})
    checkout.commit()

    first = checkout.run("deploy", **told)
    assert first.returncode == 1
    assert f"{taken}-data was not deployed" in first.stderr, first.stdout + first.stderr
    assert "run the same command again" in first.stderr
    assert checkout.stacks() == {"access": "CREATE_COMPLETE", "data": "ROLLBACK_COMPLETE"}
    # Neither protected nor retained, though they had been made: nobody's data were in them.
    assert set(owned) <= checkout.were_made("data")
    assert [name for name, there in _kept(checkout).items() if there] == ["secrets"]
    assert _images(checkout) == []

    checkout.write("data", right)
    checkout.commit()
    second = checkout.run("deploy", **told)
    assert second.returncode == 0, second.stdout + second.stderr
    assert _protected(checkout) == {"events": True, "keys": True}


def _said(output: str) -> list[str]:
    """The last part of each stack's name, as the script came to it."""
    lines = [line for line in output.splitlines() if line.startswith("==> stack ")]
    return [line.rpartition("-")[2] for line in lines]


def _images(checkout: Checkout) -> list[str]:
    """The images that were built and pushed since the last look, without the registry's name."""
    asked = [line.split() for line in checkout.lines("asked")]
    built = [words[words.index("--tag") + 1] for words in asked if words[0] == "build"]
    assert [words[1] for words in asked if words[0] == "push"] == built
    assert all("linux/amd64" in words for words in asked if words[0] == "build")
    return [image.partition(f"splitsound-{checkout.stage}-")[2] for image in built]


def _protected(checkout: Checkout) -> dict[str, bool]:
    dynamodb = checkout.access.client("dynamodb")
    named = {part: f"splitsound-{checkout.stage}-{part}" for part in ("events", "keys")}
    return {
        part: dynamodb.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"]
        for part, name in named.items()
    }


@contextmanager
def _api(checkout: Checkout) -> Iterator[str]:
    """The container `api` as ECS would start it: what its definition tells it, and the secrets."""
    client, port = checkout.access.client, free_port(None)
    [family, *_] = client("ecs").list_task_definition_families(
        familyPrefix=f"splitsound-{checkout.stage}-api"
    )["families"]
    told = client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    [container] = [c for c in told["containerDefinitions"] if c["name"] == "api"]
    environment = {each["name"]: each["value"] for each in container["environment"]}
    stored = client("secretsmanager").get_secret_value(
        SecretId=f"splitsound/{checkout.stage}/secrets"
    )["SecretString"]
    # The emulator forgets which; the file says it.
    containers = document("api")["Resources"]["Definition"]["Properties"]["ContainerDefinitions"]
    for each in containers[0]["Secrets"]:
        key = each["ValueFrom"]["Fn::Join"][1][1].strip(":")
        environment[each["Name"]] = json.loads(stored)[key]
    # It is asked from this machine; and nobody gives it the role of a task, which alone signs.
    here = {
        "SPLITSOUND_API_HOST": "127.0.0.1", "SPLITSOUND_API_PORT": str(port),
        "SPLITSOUND_SIGNER_ROLE": "",
    }  # fmt: skip
    command = [ROOT / ".venv" / "bin" / "python", *container["command"][1:]]
    with subprocess.Popen(
        command, cwd=checkout.root, env=checkout.access.environment() | environment | here
    ) as process:
        try:
            _await(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the API ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline, "the API did not come up"
            time.sleep(0.1)
        else:
            return


def _smoke(checkout: Checkout, url: str) -> list[str]:
    """The lines of the real `splitsound smoke`, one for each step and more."""
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "splitsound", "smoke", url],
        env=checkout.access.environment() | {"PYTHONPATH": str(checkout.root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()


def _was_projected(checkout: Checkout, projection: Projection[Any]) -> None:
    """As the projector notes with the first commit: rows are of this code."""
    told = {"SPLITSOUND_STAGE": checkout.stage, "SPLITSOUND_ACCOUNT": checkout.access.account}
    with adopted(checkout.access.environment() | told):
        noted(projection, Application(from_environment(), "test").operating)


def _kept(checkout: Checkout) -> dict[str, bool]:
    """What outlives a stage, and whether it is there."""
    client, access = checkout.access.client, checkout.access
    named = names(checkout.stage, access.account, access.region)
    tables = client("dynamodb").list_tables()["TableNames"]
    buckets = {each["Name"] for each in client("s3").list_buckets()["Buckets"]}
    secrets = {each["Name"] for each in client("secretsmanager").list_secrets()["SecretList"]}
    return {
        "events": named["events_table"] in tables,
        "keys": named["keys_table"] in tables,
        "media": named["media_bucket"] in buckets,
        "audit": named["audit_bucket"] in buckets,
        "secrets": f"splitsound/{checkout.stage}/secrets" in secrets,
    }


def _layer_is_usable(checkout: Checkout) -> bool:
    """Below Lambda's 250 MB with a function, and where its Python looks."""
    built = checkout.root / ".aws-sam" / "build"
    assert (built / "Dependencies" / "python" / "boto3").is_dir()
    assert (built / "RelayFunction" / "handlers" / "relay" / "function.py").is_file()
    assert not (built / "RelayFunction" / "handlers" / "client" / "typescript").exists()
    size = sum(f.stat().st_size for f in built.rglob("*") if f.is_file())
    return size < 250_000_000


# -------------------------------------------------------------------- what touches nothing


@pytest.fixture(scope="module")
def untouched(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Where every attempt is refused; at the end nothing of it is there."""
    place = tmp_path_factory.mktemp("untouched")
    made = Checkout.made(place, emulator.access, f"u{uuid.uuid4().hex[:8]}")
    yield made
    assert made.stacks() == {}
    assert not any(_kept(made).values())
    assert {line for line in made.lines("asked") if line != "info"} == set()


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"STAGE": ""}, "say which stage"),
        ({"STAGE": "Prod"}, "a stage is a short name"),
        ({"STAGE": "prod-"}, "a stage is a short name"),
        ({"STAGE": "a--b"}, "a stage is a short name"),
        ({"STAGE": "x" * 21}, "a stage is a short name"),
        ({"DOMAIN": ""}, "say which domain"),
        ({"CERTIFICATE": ""}, "give the ARN of a certificate for api.example.com"),
        ({"AWS_REGION": ""}, "set AWS_REGION"),
        ({"GPU": "yes"}, "GPU is on or off"),
        ({"SMALL": "yes"}, "SMALL is true or false"),
        ({"GPU": "on", "SMALL": "true"}, "SMALL=true has none"),
        ({"DOCKER": "no-such-engine"}, "docker is needed"),
        ({"DOCKER": "/bin/false"}, "does not answer: start it"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY0000000000"}, "which account these credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "which account these credentials"),
        ({"CERTIFICATE": "arn:aws:acm:eu-west-1:000000000000:certificate/1"}, "of this region"),
        ({"CERTIFICATE": "arn:aws:acm:us-east-1:000000000000:certificate/1"}, "be looked at"),
        ({"DOMAIN": "example.org"}, "is for api.example.com, not for api.example.org"),
    ],
)
def test_what_is_refused_touches_nothing(
    untouched: Checkout, told: dict[str, str], complaint: str
) -> None:
    done = untouched.run("deploy", **{"CERTIFICATE": untouched.certificate()} | told)
    assert done.returncode != 0
    assert complaint in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("change", ["a new file", "another line"])
def test_what_is_not_committed_is_not_deployed(untouched: Checkout, change: str) -> None:
    path = untouched.root / ("infra/new.py" if change == "a new file" else "template.yaml")
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + "\n# changed\n")
    done = untouched.run("deploy", CERTIFICATE=untouched.certificate())
    assert done.returncode == 1
    assert "changes that are not committed" in done.stderr
    if before is None:
        path.unlink()
    else:
        path.write_text(before)


def test_a_destroyer_without_credentials(untouched: Checkout) -> None:
    done = untouched.run("destroy", YES=untouched.stage, AWS_ACCESS_KEY_ID="AKIANOBODY0000000000")
    assert done.returncode == 1
    assert "which account these credentials" in done.stderr
