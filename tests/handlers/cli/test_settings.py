"""``splitsound settings``: the table, what it says here, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from handlers.cli import reach
from handlers.cli.settings import command
from infra.settings import table as every
from tests.infra.test_settings import REQUIRED


def settings(monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str) -> Result:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    nothing = ("--data", "/nonexistent")
    return CliRunner().invoke(command, [*arguments, *nothing], standalone_mode=False)


def test_every_variable_is_listed_where_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    done = settings(monkeypatch)
    assert done.return_value == 0
    assert all(f"{row.variable} " in done.stdout for row in every())
    assert "No stack is named" in done.stdout


def test_values_of_the_environment_are_told_and_secrets_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {**REQUIRED, "SPLITSOUND_MAX_SECONDS": "600", "SPLITSOUND_METRICS_TOKEN": "hunter2",
            "ADMIN_EMAILS_CSV": "anna@example.org"}  # fmt: skip
    done = settings(monkeypatch, "--json", **told)
    answer = json.loads(done.stdout)
    rows = {row["variable"]: row for row in answer["settings"]}
    assert (answer["ok"], done.return_value) == (True, 0)
    assert rows["SPLITSOUND_MAX_SECONDS"]["value"] == "600"
    assert rows["SPLITSOUND_MAX_SECONDS"]["default"] == 10_800
    assert rows["SPLITSOUND_EVENT_BUS"]["required"] is True
    assert rows["SPLITSOUND_METRICS_TOKEN"]["value"] == "(set)"
    assert "hunter2" not in done.stdout
    assert "anna" not in done.stdout


def test_mistakes_end_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    done = settings(monkeypatch, SPLITSOUND_LOG_LEVEL="loud", SPLITSOUND_OTHER="x")
    assert done.return_value == 1
    assert "SPLITSOUND_LOG_LEVEL is 'loud'" in done.stdout
    assert "SPLITSOUND_OTHER does nothing" in done.stdout
    assert "Set SPLITSOUND_EVENTS_TABLE" not in done.stdout


def test_a_stage_that_lacks_its_account_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    done = settings(monkeypatch, "--json", SPLITSOUND_STAGE="prod")
    assert done.return_value == 1
    assert "SPLITSOUND_ACCOUNT" in json.loads(done.stdout)["mistakes"][0]


def test_a_stage_is_what_commands_work_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the names of its parts: they follow from it. No local stack runs here."""
    monkeypatch.setenv("SPLITSOUND_STAGE", "prod")
    monkeypatch.setenv("SPLITSOUND_ACCOUNT", "123456789012")
    found = reach.application(tmp_path).settings
    assert found.events_table == "splitsound-prod-events"
