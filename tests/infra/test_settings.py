from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from domain.errors import Invalid
from infra.local.stack import LocalStack
from infra.settings import (
    GROUPS,
    PREFIX,
    Settings,
    from_environment,
    read,
    served,
    table,
    to_environment,
)

REQUIRED = {PREFIX + f.name.upper(): f.name for f in msgspec.structs.fields(Settings) if f.required}
VARIABLE = re.compile(r"\bSPLITSOUND_[A-Z_]*[A-Z]\b")


def admins(**environment: str) -> str:
    return from_environment({**REQUIRED, **environment}).admin_emails_csv


def test_the_list_of_administrators_has_two_names() -> None:
    assert admins() == ""
    assert admins(ADMIN_EMAILS_CSV="a@x.org") == "a@x.org"
    assert admins(SPLITSOUND_ADMIN_EMAILS_CSV="b@x.org") == "b@x.org"
    both = {"ADMIN_EMAILS_CSV": "a@x.org", "SPLITSOUND_ADMIN_EMAILS_CSV": "b@x.org"}
    assert admins(**both) == "b@x.org"
    # An empty list of ours means nobody, whatever the shell says.
    assert admins(**{**both, "SPLITSOUND_ADMIN_EMAILS_CSV": ""}) == ""


def test_settings_survive_the_environment() -> None:
    settings = from_environment({**REQUIRED, "ADMIN_EMAILS_CSV": "a@x.org, b@x.org"})
    assert from_environment({**to_environment(settings), "ADMIN_EMAILS_CSV": "c@x.org"}) == settings


@pytest.mark.parametrize(
    ("shell", "asked", "told"),
    [("a@x.org", {}, "a@x.org"), ("a@x.org", {"admin_emails_csv": "b@x.org"}, "b@x.org")],
)
def test_the_local_stack_passes_the_list_on(
    tmp_path: Path, shell: str, asked: dict[str, str], told: str
) -> None:
    stack = LocalStack(tmp_path, settings=asked)
    tuning = stack._tuning({"ADMIN_EMAILS_CSV": shell, "HOME": "/h"})
    assert "HOME" not in tuning
    assert from_environment({**REQUIRED, **tuning}).admin_emails_csv == told


def test_a_worker_serves_the_lanes_that_are_named() -> None:
    def lanes(named: str) -> tuple[str, ...]:
        return served(from_environment({**REQUIRED, "SPLITSOUND_LANES": named}))

    assert served(from_environment(REQUIRED)) == ("probe", "short", "long", "gpu-short", "gpu-long")
    assert lanes(" gpu-long, gpu-short,gpu-long,") == ("gpu-long", "gpu-short")
    with pytest.raises(Invalid, match="SPLITSOUND_LANES has no lane gpu, fast; name some of probe"):
        lanes("gpu,short,fast")
    with pytest.raises(Invalid, match="names no lane"):
        lanes(" ")


WRONG = {
    "PRESIGN_SECONDS": ("soon", "is 'soon': give a whole number from 1 to 604800."),
    "MAX_BYTES": ("0", "is '0': give a whole number from 1 up."),
    "METRICS_PORT": ("65536", "is '65536': give a whole number from 0 to 65535."),
    "SSE_PING_SECONDS": ("nan", "is 'nan': give seconds, more than 0 and up to 86400."),
    "API_PORT": ("http", "is 'http': give a whole number from 0 to 65535."),
    "EVENT_BUS": ("", "is '': give a name, without spaces."),
    "LOG_LEVEL": ("loud", "is 'loud': give one of debug, info, warning, error, critical."),
    "LANES": ("probe,fast", "has no lane fast; name some of probe, short, long, gpu-short"),
    "PUBLIC_URL": ("https://api.x.org/", "is 'https://api.x.org/': give scheme, host and port"),
    "CHECKOUT_RETURN_URL": ("x.org/credits", "is 'x.org/credits': give a whole URL"),
    "METADATA_URL": ("http://169.254.169.254:x", "give a whole URL"),
    "ALLOWED_ORIGINS": ("https://a.org, https://b.org/", "give origins by commas"),
    "TRUSTED_PROXIES": ("10.0.0.0/33", "is '10.0.0.0/33': give addresses or networks by commas"),
    "WEBHOOK_PRIVATE_NETWORKS": ("127.0.0.1/8", "give networks in CIDR notation"),
    "ADMIN_EMAILS_CSV": ("anna", "is malformed: give addresses by commas"),
    "RATE_LIMITS": ("reads=many", "is malformed: 'reads=many' is no limit; write name=requests"),
    "SIGNER_ROLE": ("signer", "is 'signer': give a role's ARN"),
    "MODELS": ("gs://bucket", "is 'gs://bucket': give a directory, or s3://bucket/prefix."),
    "CREDIT_PACKS": ('[{"name": "x"}]', "is malformed: The credit packs are not what"),
    "OIDC_PROVIDERS": ("google", "is not a JSON list of providers"),
    "REPLICATE_MODELS": ("{}", "is not a JSON array of models"),
    "SESION_IDLE_DAYS": ("3", "is no setting; did you mean SPLITSOUND_SESSION_IDLE_DAYS?"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_told_by_name_with_what_is_allowed(name: str) -> None:
    value, said = WRONG[name]
    with pytest.raises(Invalid) as caught:
        from_environment({**REQUIRED, PREFIX + name: value})
    assert caught.value.detail.startswith(PREFIX + name)
    assert said in caught.value.detail
    assert caught.value.detail.count(PREFIX + name) == 1
    assert "\n" not in caught.value.detail


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {PREFIX + name: value for name, (value, _) in WRONG.items()}
    with pytest.raises(Invalid) as caught:
        from_environment({**REQUIRED, **wrong})
    first, *lines = caught.value.detail.splitlines()
    assert first == f"{len(WRONG)} settings are wrong:"
    assert sorted(line.split()[0] for line in lines) == sorted(wrong)


def test_what_is_missing_is_told_beside_what_is_wrong() -> None:
    with pytest.raises(Invalid) as caught:
        from_environment({"SPLITSOUND_LOG_LEVEL": "loud"})
    told = caught.value.detail
    assert "SPLITSOUND_LOG_LEVEL is 'loud'" in told
    assert "Set SPLITSOUND_EVENTS_TABLE" in told
    stage = {"SPLITSOUND_STAGE": "Prod!", "SPLITSOUND_ACCOUNT": "12", "AWS_REGION": "eu-central-1"}
    told = "\n".join(read(stage).mistakes)
    assert "SPLITSOUND_STAGE is 'Prod!': give 1 to 20 of a-z" in told
    assert "SPLITSOUND_ACCOUNT is '12': give the 12 digits" in told


def test_no_secret_and_no_address_stands_in_a_message() -> None:
    provider = {"name": "Google", "issuer": "https://x.org", "client_id": "a",
                "client_secret": "hunter2"}  # fmt: skip
    hidden = {
        "SPLITSOUND_OIDC_PROVIDERS": json.dumps([provider]),
        "SPLITSOUND_ADMIN_EMAILS_CSV": "hunter2",
        "SPLITSOUND_STRIPE_API_BASE": "https://me:hunter2@stripe.example",
    }
    found = read({**REQUIRED, **hidden})
    assert len(found.mistakes) == len(hidden)
    assert "hunter2" not in str(found.mistakes)


def test_what_belongs_to_somebody_else_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    from_environment({**REQUIRED, "SPLITSOUND_JOB": "job_1", "SPLITSOUND_API_KEY": "ssk_1"})
    assert caplog.messages == ["SPLITSOUND_JOB is no setting of this version."]


def test_every_variable_of_the_deployment_is_known() -> None:
    root = Path(__file__).parents[2]
    places = [root / "template.yaml", *(root / "infra").rglob("*.yaml"),
              *(root / "infra").rglob("*.sh"), root / "infra/images/Dockerfile",
              root / "README.md"]  # fmt: skip
    named = {each for place in places for each in VARIABLE.findall(place.read_text())}
    assert len(named) > 20
    assert named - {row.variable for row in table()} == set()


def test_the_table_tells_each_variable_once_and_masks_what_is_secret() -> None:
    rows = {row.variable: row for row in table()}
    assert len(rows) == len(table())
    assert all(row.what and row.group for row in rows.values())
    assert {row.group for row in rows.values()} == set(GROUPS.values())
    # A new secret is not forgotten.
    secret = {name for name, row in rows.items() if row.secret}
    likely = re.compile(r"_(API_KEY|TOKEN|SECRETS|PROVIDERS|EMAILS_CSV)$")
    assert secret == {name for name in rows if likely.search(name)}


def test_defaults_are_allowed_themselves() -> None:
    text = {row.variable: str(row.default) for row in table() if row.default not in (None, "")}
    assert read({**REQUIRED, **text}).mistakes == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_ORIGINS", "http://localhost:*,https://app.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.1, 10.1.0.0/16"), ("TRUSTED_PROXIES", "*"),
        ("WEBHOOK_PRIVATE_NETWORKS", "127.0.0.0/8,::1/128"), ("LOG_LEVEL", "WARNING"),
        ("MODELS", "s3://bucket/prefix"), ("MODELS", "/srv/models"), ("SSE_POLL_SECONDS", "0.2"),
        ("PUBLIC_URL", "http://127.0.0.1:8000"), ("RETENTION_DAYS_STEMS", "0"),
        ("SIGNER_ROLE", "arn:aws-cn:iam::123456789012:role/splitsound-prod-signer"),
    ],
)  # fmt: skip
def test_what_is_good_is_taken(name: str, value: str) -> None:
    assert read({**REQUIRED, PREFIX + name: value}).mistakes == []


def test_a_path_that_is_empty_is_none() -> None:
    assert from_environment({**REQUIRED, "SPLITSOUND_WORK_DIRECTORY": ""}).work_directory is None
