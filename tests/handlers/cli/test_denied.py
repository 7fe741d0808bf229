"""What operators see on the command line, and in a component's log, when AWS denies a call."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
import structlog

from handlers.cli import cli
from handlers.cli.outcome import FAILED, run
from infra.bootstrap import Application
from infra.settings import to_environment
from tests.conftest import Cloud
from tests.infra.test_faults import restricted


@pytest.fixture
def powerless(
    cloud: Cloud, application: Application, monkeypatch: pytest.MonkeyPatch
) -> Application:
    """An operator's shell whose keys may list tables and nothing else."""
    keys = restricted(cloud.access, [("Allow", "dynamodb:ListTables")])
    settings = to_environment(application.settings)
    for name, value in (settings | keys.environment()).items():
        monkeypatch.setenv(name, value)
    return application


def test_a_command_names_what_to_grant(
    powerless: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    table = f"table/{powerless.settings.events_table}"
    assert run(cli, ["events", "show", "job-1"]) == FAILED
    told = capsys.readouterr().err
    assert told.startswith(f"Error: AWS denied dynamodb:Query on {table}: ")
    assert "allow dynamodb:Query there for the role" in told
    assert run(cli, ["credits", "usr_1", "--json"]) == FAILED
    problem = json.loads(capsys.readouterr().err)
    assert problem["code"] == "access_denied_by_aws"
    assert (problem["action"], problem["resource"]) == ("dynamodb:Query", table)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Logging as it was before: a later test's lines must not go to this one's closed stderr."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("own_logging")
def test_a_relay_that_may_not_start_says_why(
    powerless: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    from handlers.relay.__main__ import _stream_arn
    from infra.logs import configure

    with pytest.raises(SystemExit) as ended:
        _stream_arn(powerless, configure("relay"))
    assert ended.value.code == 1
    line = msgspec.json.decode(capsys.readouterr().err, type=dict[str, str])
    assert line["error"].startswith(
        f"AWS denied dynamodb:DescribeTable on table/{powerless.settings.events_table}"
    )
