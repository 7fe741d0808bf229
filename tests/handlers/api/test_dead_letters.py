"""Streams that a read model cannot follow, as operators and users meet them over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import structlog

import projections
from handlers.sweeper.__main__ import build_healing
from tests.handlers.api.conftest import Served
from tests.handlers.api.documented import Document
from tests.handlers.api.operated import acts_of, append_from_tomorrow, deliver, park, poison
from tests.handlers.api.people import Person, assert_problem
from tests.handlers.test_projector import knowing_tomorrow

WHY = {"reason": "the code takes it now"}
LETTERS = "/v1/admin/dead-letters"


@pytest.fixture
def admin(admin: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(admin.http)
    return admin


def letters(admin: Person, user_id: str) -> list[dict[str, Any]]:
    found = admin.http.get(LETTERS, params={"projection": "credits"}).json()["items"]
    return [each for each in found if each["stream"] == f"credits-{user_id}"]


def test_a_poison_stream_is_listed_shown_and_follows_once_the_code_can(
    admin: Person, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = park(served.application, events=3)
    stream = f"credits-{user_id}"
    (letter,) = letters(admin, user_id)
    assert (letter["version"], letter["newest"], letter["generation"]) == (2, 4, 1)
    assert "FromTomorrow" in letter["error"]
    told = admin.http.get(f"{LETTERS}/credits/{stream}").json()
    assert (told["waiting"], told["tip"]) == (3, 4)
    (rejection,) = told["rejections"]
    assert rejection["traceback"].startswith("Traceback")
    (event,) = told["events"]
    assert (event["version"], event["type"], event["actor"]) == (2, "FromTomorrow", "tomorrow")

    path = f"{LETTERS}/credits/{stream}/redrive"
    still = admin.http.post(path, json=WHY).json()
    assert still["follows"] is False
    assert "FromTomorrow" in still["generations"][0]["error"]
    assert still["generations"][0]["tries"] == letter["tries"] + 1
    assert letters(admin, user_id)
    monkeypatch.setitem(projections.ALL, "credits", knowing_tomorrow())
    now = admin.http.post(path, json=WHY).json()
    assert now["follows"] is True
    assert now["generations"] == [
        {"generation": 1, "follows": True, "error": None, "tries": letter["tries"] + 1}
    ]
    assert letters(admin, user_id) == []
    row = served.application.rows.head("credits@1", stream)
    assert row is not None
    assert row.version == 4
    act = ("redrive", f"credits/{stream}", WHY["reason"])
    assert acts_of(served.application, admin.user_id)[-2:] == [act, act]
    assert_problem(admin.http.post(path), 422, "invalid_request")
    assert_problem(admin.http.post(path, json=WHY), 404, "not_found")


def test_a_stream_that_only_the_sweep_met_is_listed_too(admin: Person, served: Served) -> None:
    user_id = poison(served.application)
    assert letters(admin, user_id) == []
    build_healing(served.application, structlog.get_logger()).heal(["credits"], segments=1)
    (letter,) = letters(admin, user_id)
    assert letter["version"] == 2


def test_dead_messages_are_counted_and_names_are_checked(admin: Person, served: Served) -> None:
    queue = served.application.queue("projections_dlq")
    before = admin.http.get(LETTERS).json()["queues"]
    queue.send("not ours")
    now = admin.http.get(LETTERS).json()["queues"]
    assert now == {**before, "projections": before["projections"] + 1}
    (message,) = queue.receive(wait=1)
    queue.delete(message)
    problem = assert_problem(
        admin.http.get(LETTERS, params={"projection": "nope"}), 422, "invalid_request"
    )
    assert problem["errors"][0]["parameter"] == "projection"
    for path in ("credits/credits-nobody", "nope/credits-nobody"):
        assert_problem(admin.http.get(f"{LETTERS}/{path}"), 404, "not_found")


def test_a_user_whose_view_is_stuck_is_told_to_come_back(
    admin: Person, person: Person, served: Served, anyone: httpx.Client
) -> None:
    Document(anyone).watch(person.http)
    append_from_tomorrow(served.application, person.user_id)
    for path in ("/v1/credits", "/v1/credits/history"):
        answer = person.http.get(path)
        problem = assert_problem(answer, 503, "read_model_stuck")
        assert problem["retryable"] is True
        assert int(answer.headers["retry-after"]) > 0
        assert "operators see it" in problem["detail"]
        assert "credits-" not in answer.text, "what the operators read is not for clients"
    deliver(served.application, f"credits-{person.user_id}")
    assert letters(admin, person.user_id)
