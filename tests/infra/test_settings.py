from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from domain.errors import Invalid
from infra.local.stack import LocalStack
from infra.settings import PREFIX, Settings, from_environment, served, to_environment

REQUIRED = {PREFIX + f.name.upper(): f.name for f in msgspec.structs.fields(Settings) if f.required}


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
