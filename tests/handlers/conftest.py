"""An application on a stage of its own in the emulated cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from infra.bootstrap import Application
from infra.local.stack import adopted
from infra.settings import from_environment
from tests.conftest import Cloud


@pytest.fixture
def application(cloud: Cloud, tmp_path: Path) -> Iterator[Application]:
    """Settings as ``up`` makes them, without a journal."""
    parts = {
        f"SPLITSOUND_{name.upper()}": str(value)
        for name, value in msgspec.structs.asdict(cloud.resources).items()
    }
    environment = {**cloud.environment(), **parts, "SPLITSOUND_KEYS": str(tmp_path / "keys")}
    with adopted(environment):
        yield Application(from_environment(), "test")
