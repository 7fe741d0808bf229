"""What ``splitsound doctor --stage`` asks of an API, asked of the real one."""

from __future__ import annotations

import msgspec
import pytest

from handlers.cli.checks import Check, outside
from handlers.cli.checks.stage import Stage
from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import serving


def seen(settings: Settings, domain: str) -> dict[str, Check]:
    with serving(Application(settings)) as running:
        stage = Stage("prod", domain, running.url)
        return {check.name: check for check in outside.examine(stage, told=False)}


@pytest.fixture
def deployed(settings: Settings) -> Settings:
    """As infra/stacks/api.yaml tells it for example.com."""
    return msgspec.structs.replace(
        settings, public_url="https://api.example.com", allowed_origins="https://example.com"
    )


def test_an_api_of_that_domain_is_as_it_should_be(deployed: Settings) -> None:
    found = seen(deployed, "example.com")
    # The local provider takes redirect addresses of this machine alone.
    refused = found.pop("sign-in: local")
    assert {check.state for check in found.values()} == {"ok"}, found
    assert found["sign-in providers"].found == "local"
    assert "refuses the sign-in (status 400)" in refused.found
    assert "Register https://api.example.com/v1/auth/callback" in refused.todo


def test_an_api_of_another_domain_is_told_from_it(deployed: Settings) -> None:
    found = seen(deployed, "example.org")
    assert "lets no page of https://example.org" in found["CORS of the API"].found
    # It would not lead back to a page that is none of its own.
    assert "does not begin (status 422" in found["sign-in: local"].found
