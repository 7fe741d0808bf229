"""What every test may ask for: a real emulated cloud, and no trace of the developer's own.

``emulator`` is one ministack for the whole run. ``cloud`` is a stage of its own in it, with every
table, queue, rule and the bucket of template.yaml, so that tests never see each other's data.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
from msgspec import Struct

from infra.bootstrap import Application
from infra.local.access import CloudAccess
from infra.local.emulator import Emulator
from infra.local.provision import Resources, provision
from infra.local.stack import adopted
from infra.settings import from_environment


def pytest_configure() -> None:
    """Before anything makes a client: no profile, no key and no endpoint of this machine."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "SPLITSOUND_"))]:
        del os.environ[name]
    # The keys work nowhere: a client made by mistake fails instead of reaching an account.
    os.environ |= CloudAccess("http://127.0.0.1:9", "no-such-key", "no-such-secret").environment()
    # How long an example takes says more about the machine than about the code.
    hypothesis.settings.register_profile("splitsound", deadline=None)
    hypothesis.settings.load_profile("splitsound")


class Cloud(Struct, frozen=True):
    """A stage of the emulated cloud that only this test knows."""

    access: CloudAccess
    resources: Resources
    stage: str

    def client(self, service: str) -> Any:
        """A boto3 client on the emulator."""
        return self.access.client(service)

    def environment(self) -> dict[str, str]:
        """This process's environment with AWS meaning the emulator, for child processes."""
        return self.access.environment()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One running emulator for the whole run."""
    with Emulator(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def cloud(emulator: Emulator) -> Cloud:
    """A freshly provisioned stage, about 0.15 s."""
    return _new_stage(emulator)


@pytest.fixture
def new_cloud(emulator: Emulator) -> Callable[[], Cloud]:
    """For tests that need several: each call provisions another stage."""
    return lambda: _new_stage(emulator)


def _new_stage(emulator: Emulator) -> Cloud:
    stage = f"t{uuid.uuid4().hex[:12]}"
    return Cloud(emulator.access, provision(emulator.access, {"Stage": stage}), stage)


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
