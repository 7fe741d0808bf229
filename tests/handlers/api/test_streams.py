"""Time travel over HTTP, and who may."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from domain.commit import Append, Meta
from domain.credits import CREDITS, CreditsGranted
from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import ADMIN, Served, serving
from tests.handlers.api.documented import Document
from tests.handlers.api.people import Person, assert_problem, client


@pytest.fixture
def admin(admin: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(admin.http)
    return admin


def account(served: Served, *steps: int) -> str:
    """A credits stream with commits of so many grants each."""
    store, user_id = served.application.store, f"usr_{uuid.uuid4().hex}"
    name = CREDITS.stream(user_id)
    for place, count in enumerate(steps):
        grants = [CreditsGranted(user_id, f"grt_{place}_{n}", "test", 10) for n in range(count)]
        store.append([Append(store.load(CREDITS, name), grants)], Meta(f"cmd_{place}", "test"))
    return name


def get(person: Person, stream: str, **params: Any) -> dict[str, Any]:
    answer = person.http.get(f"/v1/admin/streams/{stream}", params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_job_s_history_and_state(admin: Person, person: Person) -> None:
    job = person.job()
    person.worker.finish(job, person.user_id)
    told = get(admin, job["job_id"])  # an id alone names its own stream
    assert told["stream"] == job["stream"]
    assert [e["version"] for e in told["events"]] == list(range(1, told["version"] + 1))
    first = told["events"][0]
    assert first["type"] == "SeparationRequested"
    assert first["actor"] == person.user_id
    assert first["peers"] == [f"credits-{person.user_id}"]
    assert first["corr"].startswith("req_")
    assert len(first["hash"]) == 64
    assert (told["verified"], told["broken"], told["note"]) == (True, None, None)
    assert told["state"]["status"] == "completed"
    begun = get(admin, job["stream"], version=1)
    assert begun["state"]["status"] == "queued"
    assert len(begun["events"]) == 1


def test_pages_show_every_event_once_beside_the_same_state(admin: Person, served: Served) -> None:
    stream = account(served, 1, 3, 2, 1)
    whole = get(admin, stream)
    assert whole["cursor"] is None
    events: list[Any] = []
    cursor = None
    while True:
        page = get(admin, stream, limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(page["events"]) <= 2
        events += page["events"]
        assert (page["state"], page["version"], page["verified"]) == (whole["state"], 7, True)
        if not (cursor := page["cursor"]):
            break
        # What comes meanwhile is after the moment that is looked at.
        store = served.application.store
        more = [CreditsGranted("usr", f"grt_{uuid.uuid4().hex}", "late", 1)]
        store.append([Append(store.load(CREDITS, stream), more)], Meta(uuid.uuid4().hex, "test"))
    assert events == whole["events"]
    other = admin.http.get(
        f"/v1/admin/streams/{account(served, 1)}", params={"cursor": page["cursor"] or "x.y"}
    )
    assert_problem(other, 422, "invalid_request")


def test_a_version_inside_a_commit(admin: Person, served: Served) -> None:
    stream = account(served, 1, 3)
    told = get(admin, stream, version=3)
    assert [e["version"] for e in told["events"]] == [1, 2, 3]
    assert len(told["state"]["grants"]) == 3
    ahead = admin.http.get(f"/v1/admin/streams/{stream}", params={"version": 5})
    assert "is at version 4" in assert_problem(ahead, 422, "invalid_request")["detail"]


def test_a_stream_as_of_a_time(admin: Person, served: Served) -> None:
    stream = account(served, 1)
    time.sleep(0.02)
    between = datetime.now(UTC).isoformat()
    time.sleep(0.02)
    store = served.application.store
    late = [CreditsGranted("usr", "grt_late", "late", 1)]
    store.append([Append(store.load(CREDITS, stream), late)], Meta("cmd_late", "test"))
    then = get(admin, stream, as_of=between)
    assert (then["version"], len(then["state"]["grants"])) == (1, 1)
    assert get(admin, stream, as_of="now")["version"] == 2
    place = f"/v1/admin/streams/{stream}"
    problem = assert_problem(admin.http.get(place, params={"as_of": "1h"}), 404, "not_found")
    assert "begins at" in problem["detail"]
    far = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31", "99999d")
    for wrong in ("yesterday", "999999999d", *far):
        refused = admin.http.get(place, params={"as_of": wrong})
        assert assert_problem(refused, 422, "invalid_request")["errors"][0]["parameter"] == "as_of"
    both = admin.http.get(place, params={"as_of": "now", "version": 1})
    assert_problem(both, 422, "invalid_request")


def test_a_broken_chain_ends_the_story_and_says_where(admin: Person, served: Served) -> None:
    stream = account(served, 1, 1, 1)
    table = served.application.settings.events_table
    served.application.client("dynamodb").update_item(
        TableName=table,
        Key={"stream_id": {"S": stream}, "seq": {"N": "2"}},
        UpdateExpression="SET #t = :t",
        ExpressionAttributeNames={"#t": "t"},
        ExpressionAttributeValues={":t": {"N": "99999999999999"}},
    )
    for params in ({}, {"as_of": "now"}, {"version": 3}):
        told = get(admin, stream, **params)
        assert told["verified"] is False
        assert told["broken"]["after"] == 1
        assert "version 2: its content was changed" in told["broken"]["detail"]
        assert [e["version"] for e in told["events"]] == [1]
        assert len(told["state"]["grants"]) == 1


def test_streams_that_are_not_there(admin: Person) -> None:
    for name in ("job-job_none", "nonsense", "credits-", "x" * 3000):
        assert_problem(admin.http.get(f"/v1/admin/streams/{name}"), 404, "not_found")


def test_an_address_stays_sealed(admin: Person, served: Served) -> None:
    answer = admin.http.get(f"/v1/admin/streams/{admin.user_id}")
    assert answer.json()["state"]["email"]
    assert ADMIN not in answer.text


def test_an_event_that_this_version_does_not_know(admin: Person, served: Served) -> None:
    stream = account(served, 1)
    store = served.application.store

    class CreditsTeleported(CreditsGranted, frozen=True, tag="CreditsTeleported"):
        pass

    newer = [CreditsTeleported("usr", "grt_9", "tomorrow", 1)]
    store.append([Append(store.load(CREDITS, stream), newer)], Meta("cmd_9", "test"))
    told = get(admin, stream)
    assert [e["type"] for e in told["events"]] == ["CreditsGranted", "CreditsTeleported"]
    assert told["state"] is None
    assert "CreditsTeleported" in told["note"]
    assert told["verified"]


# --- the rule ---------------------------------------------------------------------------------


def test_both_the_list_and_the_claim_are_needed(
    anyone: httpx.Client, person: Person, new_person: Callable[..., Person]
) -> None:
    path = "/v1/admin/streams/job-1"
    assert_problem(anyone.get(path), 401, "unauthenticated")
    stranger = assert_problem(person.http.get(path), 403, "not_an_admin")
    assert stranger["missing"] == ["list", "claim"]
    unasked = assert_problem(new_person(ADMIN).http.get(path), 403, "admin_claim_missing")
    assert unasked["missing"] == ["claim"]
    assert "admin" in unasked["detail"]


def test_a_token_outlives_no_removal_from_the_list(admin: Person, settings: Settings) -> None:
    token = admin.http.headers["Authorization"]
    assert_problem(admin.http.get("/v1/admin/streams/job-1"), 404, "not_found")
    for listed in ("", "somebody@example.org"):
        removed = msgspec.structs.replace(settings, admin_emails_csv=listed)
        with (
            serving(Application(removed)) as running,
            client(running.url, Authorization=token) as http,
        ):
            answer = http.get("/v1/admin/streams/job-1")
            assert assert_problem(answer, 403, "not_an_admin")["missing"] == ["list"]
            assert http.get("/v1/jobs").status_code == 200
