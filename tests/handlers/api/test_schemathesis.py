"""Schemathesis finds nothing: the live server answers as the document says it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.handlers.api.buyers import opened
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def run(served: Served, person: Person, where: Path, *options: str) -> None:
    """All operations, all checks. The person is an administrator who has one of everything."""
    done = person.job()
    person.worker.finish(done, person.user_id)
    person.job()
    person.begin()
    opened(person)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(CONFIGURATION),
        "run", f"{served.url}/schema/openapi.json",
        "--header", f"Authorization: {person.http.headers['Authorization']}",
        "--continue-on-failure", "--seed", "1", *options,
    ]  # fmt: skip
    told = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-8000:] + told.stderr[-2000:]


def test_a_few_requests_of_each_kind(served: Served, admin: Person, tmp_path: Path) -> None:
    run(served, admin, tmp_path, "--phases", "examples,coverage", "--max-examples", "3")
