"""Schemathesis finds nothing: the live server answers as the document says it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.handlers.api.buyers import opened
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
ADMIN = "^/v1/admin/"
MANY = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "30")


def run(served: Served, person: Person, where: Path, *options: str) -> None:
    """All operations, all checks, for somebody who has one of everything; is there afterwards."""
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
    # Else most of it was answered 410.
    assert person.http.get("/v1/me").status_code == 200


def test_a_few_requests_of_each_kind(served: Served, admin: Person, tmp_path: Path) -> None:
    run(served, admin, tmp_path, "--phases", "examples,coverage", "--max-examples", "3")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_requests_and_what_follows_from_them(
    served: Served, person: Person, tmp_path: Path
) -> None:
    run(served, person, tmp_path, *MANY, "--exclude-path-regex", ADMIN)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_requests_of_an_administrator(served: Served, admin: Person, tmp_path: Path) -> None:
    run(served, admin, tmp_path, *MANY, "--include-path-regex", ADMIN)
