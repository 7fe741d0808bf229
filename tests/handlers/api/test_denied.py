"""The API under keys whose policies lack something: the answer says what, and on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from infra.bootstrap import Application
from infra.local.emulator import Emulator
from infra.settings import Settings
from tests.handlers.api.conftest import serving
from tests.handlers.api.documented import Document
from tests.handlers.api.people import Person, assert_problem, client
from tests.infra.test_faults import restricted

Rules = list[tuple[str, str]]
ALL: Rules = [("Allow", "*")]


@pytest.fixture
def under(
    settings: Settings, emulator: Emulator, person: Person, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Rules], httpx.Client]]:
    """The person's client of another API process, whose keys have only these rights."""
    with ExitStack() as stack:

        def serve(rules: Rules) -> httpx.Client:
            keys = restricted(emulator.access, rules)
            for name, value in keys.environment().items():
                monkeypatch.setenv(name, value)
            running = stack.enter_context(serving(Application(settings)))
            token = person.http.headers["Authorization"]
            return stack.enter_context(client(running.url, Authorization=token))

        yield serve


def test_a_denied_write_names_action_and_table(
    under: Callable[[Rules], httpx.Client], settings: Settings
) -> None:
    http = under([*ALL, ("Deny", "dynamodb:PutItem")])
    Document(http).watch(http)
    answer = http.post("/v1/checkout", json={"pack": "hour"})
    problem = assert_problem(answer, 503, "access_denied_by_aws")
    assert problem["action"] == "dynamodb:PutItem"
    assert problem["resource"] == f"table/{settings.events_table}"
    assert problem["retryable"] is False
    assert "retry-after" not in answer.headers
    assert "an explicit deny in an identity-based policy forbids it" in problem["detail"]
    assert "arn:aws:iam" not in answer.text


def test_a_denied_bucket_is_named_by_the_folder_of_the_object(
    under: Callable[[Rules], httpx.Client], settings: Settings
) -> None:
    http = under([("Allow", "dynamodb:*")])
    Document(http).watch(http)
    answer = http.post("/v1/uploads", json={"filename": "a.mp3", "size": 5})
    problem = assert_problem(answer, 503, "access_denied_by_aws")
    assert problem["action"] == "s3:PutObject"
    bucket = settings.media_bucket.replace("000000000000", "*")
    assert problem["resource"].startswith(f"{bucket}/user_usr_")
    assert problem["resource"].endswith("/")
    assert "allow s3:PutObject there for the role" in problem["detail"]
    ready = assert_problem(http.get("/readyz"), 503, "not_ready")
    assert ready["failing"] == ["bucket"]
    assert "AWS denied s3:ListBucket" in ready["detail"]


def test_denied_rows_name_the_table_of_the_read_models(
    under: Callable[[Rules], httpx.Client], settings: Settings
) -> None:
    http = under([*ALL, ("Deny", "dynamodb:Query")])
    Document(http).watch(http)
    for path in ("/v1/jobs", "/v1/library"):
        problem = assert_problem(http.get(path), 503, "access_denied_by_aws")
        assert problem["action"] == "dynamodb:Query"
        assert problem["resource"] == f"table/{settings.read_models_table}"


def test_denied_catalogues_and_pulses_name_the_operational_table(
    under: Callable[[Rules], httpx.Client], settings: Settings
) -> None:
    http = under([*ALL, ("Deny", "dynamodb:GetItem")])
    Document(http).watch(http)
    for path in ("/v1/jobs", "/v1/usage"):
        problem = assert_problem(http.get(path), 503, "access_denied_by_aws")
        assert problem["action"] == "dynamodb:GetItem"
        assert problem["resource"] == f"table/{settings.operations_table}"
