"""The TypeScript client: made from today's document, strictly typed, and proved against the API."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from handlers.api.contract import contract
from infra.bootstrap import Application
from tests.handlers.api.conftest import Served, issuer, serving, settings, till
from tests.handlers.api.people import FINISHED, Person, Worker, client, sign_in

PACKAGE = Path(__file__).parents[3] / "handlers" / "client" / "typescript"
TOOLS = PACKAGE / "node_modules" / ".bin"
__all__ = ["issuer", "settings", "till"]

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (TOOLS / "tsc").exists(), reason="its npm packages are not installed: make typescript"
    ),
]


def tool(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        arguments, cwd=PACKAGE, env=os.environ | environment, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_types_are_those_of_the_document(tmp_path: Path) -> None:
    document, made = tmp_path / "openapi.json", tmp_path / "schema.ts"
    document.write_bytes(msgspec.json.encode(contract()))
    flags = ["--default-non-nullable=false", "--output", str(made)]
    tool(str(TOOLS / "openapi-typescript"), str(document), *flags)
    there = PACKAGE / "src" / "schema.ts"
    assert there.read_text() == made.read_text(), "of another document: make contract"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tests as JavaScript, and the proof that everything is typed."""
    tool(str(TOOLS / "tsc"))
    return "build/test/"


@pytest.fixture
def served(settings: object) -> Iterator[Served]:
    with serving(Application(settings)) as running:  # type: ignore[arg-type]
        yield running


def test_it_is_typed_and_does_what_it_says_against_the_live_api(built: str, served: Served) -> None:
    worker = Worker(served.application)
    token, user_id = sign_in(served.application, "typescript@example.org")
    environment = {"SPLITSOUND_API": served.url, "SPLITSOUND_TOKEN": token}
    with client(served.url, Authorization=f"Bearer {token}") as http:
        person = Person(http, worker, user_id)
        job = person.job()
        worker.finish(job, person.user_id)
        # No projector runs here: this brings the row to date.
        newest = {"min_version": job["version"] + FINISHED}
        assert http.get(f"/v1/jobs/{job['job_id']}", params=newest).json()["stems"]
        if "/v1/jobs/{job_id}/events" in contract()["paths"]:
            environment["SPLITSOUND_JOB"] = job["job_id"]
        told = tool("node", "--test", "--test-reporter=tap", built, **environment)
    assert "\n# fail 0" in told
    assert "\n# skipped 0" in told or "SPLITSOUND_JOB" not in environment
