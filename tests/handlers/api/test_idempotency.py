"""Idempotency-Key: the first answer again, whoever asks, and at what cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute

from domain.errors import Unavailable
from handlers.api import create_app
from handlers.api.idempotency import recall
from infra.bootstrap import Application
from infra.metering import Meter, Units
from infra.operations import OperationalTable
from infra.operations.answers import Answer, Answers, forget
from infra.settings import Settings
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import Person, assert_problem, client, send

KEY = {"Idempotency-Key": "k"}


def replays(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotent-replayed") == "true")


def assert_replay(first: httpx.Response, again: httpx.Response) -> None:
    """The same answer, and it says that it is."""
    assert not replays(first)
    assert replays(again)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("content-type", "location"):
        assert again.headers.get(name) == first.headers.get(name)


def kept(served: Served, person: Person) -> list[Answer]:
    table = served.application.operational_table
    return [answer for _, answer in table.query(f"answers#{person.user_id}", Answer)]


def test_every_post_of_who_is_signed_in_goes_through_it(
    served: Served, anyone: httpx.Client
) -> None:
    document = anyone.get("/schema/openapi.json").json()
    posts = [each["post"] for each in document["paths"].values() if "post" in each]
    signed_in = {operation["operationId"] for operation in posts if operation.get("security")}
    app = create_app(served.application)
    recalled = {
        handler.operation_id
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "POST" in handler.http_methods and handler.resolve_before_request() is recall
    }
    assert len(signed_in) > 15
    assert recalled == signed_in
    for operation in posts:
        told = {p["name"] for p in operation.get("parameters", ())}
        assert ("Idempotency-Key" in told) == (operation["operationId"] in signed_in)


def test_a_job_is_answered_as_it_was_although_it_has_moved_on(person: Person) -> None:
    song = person.song()
    first = person.ask(song, key="k")
    person.worker.finish(first.json(), person.user_id)
    again = person.ask(song, key="k")
    assert_replay(first, again)
    assert (first.status_code, first.json()["status"]) == (201, "queued")
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_every_kind_of_post(person: Person, admin: Person) -> None:
    song, job = person.song(), person.job()
    path = f"/v1/jobs/{job['job_id']}"
    for http, route, body in (
        (person.http, "/v1/quotes", {"asset_id": song}),
        (person.http, path + "/cancel", None),
        (person.http, "/v1/checkout", {"pack": "hour"}),
        (admin.http, f"/v1/admin/credits/{person.user_id}/adjust",
         {"amount": 7, "source": "promotion", "reason": "a gift"}),
    ):  # fmt: skip
        first = http.post(route, json=body, headers=KEY)
        assert first.is_success, first.text
        assert_replay(first, http.post(route, json=body, headers=KEY))
    assert person.http.delete(f"/v1/library/{song}").is_success
    for route in (f"/v1/library/{song}/restore",):
        first = person.http.post(route, headers=KEY)
        assert_replay(first, person.http.post(route, headers=KEY))
    assert person.http.get("/v1/credits").json()["available"] == 107


def test_a_refusal_that_is_final_is_replayed(person: Person) -> None:
    absent = {"asset_id": "ast_" + "0" * 26}
    first = person.http.post("/v1/jobs", json=absent, headers=KEY)
    assert first.status_code == 404
    again = person.http.post("/v1/jobs", json=absent, headers=KEY)
    assert replays(again)
    assert (again.content, again.headers["content-type"]) == (
        first.content, "application/problem+json",
    )  # fmt: skip
    wrong = person.http.post("/v1/quotes", json={"asset_id": 5}, headers=KEY)
    assert wrong.status_code == 422
    assert person.http.post("/v1/quotes", json={"asset_id": 5}, headers=KEY).content == (
        wrong.content
    )


def test_what_may_succeed_later_is_not_kept(person: Person, admin: Person, served: Served) -> None:
    asset_id = person.upload()["asset_id"]
    assert_problem(person.ask(asset_id, key="k"), 409, "asset_not_ready")
    person.worker.probe(asset_id, seconds=101)
    assert_problem(person.ask(asset_id, key="k"), 402, "not_enough_credits")
    gift = {"amount": 7, "source": "promotion", "reason": "a gift"}
    assert admin.http.post(f"/v1/admin/credits/{person.user_id}/adjust", json=gift).is_success
    answer = person.ask(asset_id, key="k")
    assert (answer.status_code, replays(answer)) == (201, False)
    assert len([a for a in kept(served, person) if a.status]) == 1


def test_another_request_under_the_same_key(
    person: Person, new_person: Callable[[], Person]
) -> None:
    song = person.song()
    first = person.ask(song, key="k")
    assert_problem(person.ask(song, key="k", format="wav"), 422, "idempotency_key_reused")
    # Not told apart by how it is written; a key is one user's, on one route.
    spaced = f'{{ "asset_id" : "{song}" }}'.encode()
    typed = KEY | {"Content-Type": "application/json"}
    assert_replay(first, person.http.post("/v1/jobs", content=spaced, headers=typed))
    quoted = person.http.post("/v1/quotes", json={"asset_id": song}, headers=KEY)
    assert (quoted.status_code, replays(quoted)) == (200, False)
    other = new_person()
    theirs = other.ask(other.song(), key="k")
    assert (theirs.status_code, replays(theirs)) == (201, False)


def test_a_key_that_is_none(person: Person) -> None:
    song = person.song()
    for key in ("", "two words", "x" * 256):
        answer = person.http.post(
            "/v1/quotes", json={"asset_id": song}, headers={"Idempotency-Key": key}
        )
        (wrong,) = assert_problem(answer, 422, "invalid_request")["errors"]
        assert wrong["header"] == "Idempotency-Key"


def test_an_upload_is_answered_anew_so_that_no_url_is_stale(person: Person, served: Served) -> None:
    first = person.begin(key="k")
    send(first.json(), b"not really a song, but the API never looks")
    again = person.begin(key="k")
    assert replays(again)
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["asset_id"] == first.json()["asset_id"]
    assert (again.json()["missing"], len(again.json()["received"])) == ([], 1)
    (answer,) = kept(served, person)
    assert answer.body is None
    assert_problem(person.begin(size=7, key="k"), 422, "idempotency_key_reused")


def test_what_is_kept_is_sealed_and_forgotten(person: Person, served: Served) -> None:
    song = person.song()
    person.ask(song, key="my-very-own-key")
    (answer,) = kept(served, person)
    text = msgspec.json.encode(answer).decode()
    assert answer.body
    assert "My Song" not in text
    assert "my-very-own-key" not in text
    forget(served.application.operational_table, person.user_id)
    assert kept(served, person) == []


# --- one at a time, also across processes ------------------------------------------------------


@pytest.fixture
def second(settings: Settings, person: Person) -> Iterator[httpx.Client]:
    """Another process's API for the same person."""
    token = person.http.headers["Authorization"]
    with serving(Application(settings)) as other, client(other.url, Authorization=token) as http:
        yield http


def _claimed(served: Served, person: Person, body: dict[str, Any], ago_ms: int = 0) -> None:
    """As a process leaves it that began to carry the request out, so long ago."""

    class Past:
        def now(self) -> int:
            return served.application.clock.now() - ago_ms

    application = served.application
    answers = Answers(application.operational_table, application.personal, Past())
    told = b"\x00" + msgspec.json.encode(body, order="deterministic")
    answers.claim(person.user_id, "POST /v1/jobs", "k", told)


def test_the_first_request_is_still_running_at_another_process(
    person: Person, served: Served, second: httpx.Client
) -> None:
    body = {"asset_id": person.song()}
    _claimed(served, person, body)
    for http in (person.http, second):
        answer = http.post("/v1/jobs", json=body, headers=KEY)
        problem = assert_problem(answer, 409, "idempotency_key_in_use")
        assert problem["retryable"]
        assert int(answer.headers["retry-after"]) >= 1
    other = second.post("/v1/jobs", json=body | {"format": "wav"}, headers=KEY)
    assert_problem(other, 422, "idempotency_key_reused")
    assert person.http.get("/v1/jobs").json()["items"] == []


def test_the_process_that_had_it_died_and_its_work_is_found(
    person: Person, served: Served, second: httpx.Client
) -> None:
    body = {"asset_id": person.song()}
    first = person.http.post("/v1/jobs", json=body, headers=KEY).json()
    # As if it had died between the commit and the answer.
    forget(served.application.operational_table, person.user_id)
    _claimed(served, person, body, ago_ms=61_000)
    answer = second.post("/v1/jobs", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["job_id"]) == (201, first["job_id"])
    assert_replay(answer, person.http.post("/v1/jobs", json=body, headers=KEY))
    assert person.http.get("/v1/credits").json()["reserved"] == 10


def test_after_a_day_the_key_is_new_although_the_job_is_not(person: Person, served: Served) -> None:
    body = {"asset_id": person.song()}
    first = person.http.post("/v1/jobs", json=body, headers=KEY)
    table, partition = served.application.operational_table, f"answers#{person.user_id}"
    ((place, answer),) = table.query(partition, Answer)
    old = msgspec.structs.replace(answer, made=answer.made - 86_400_001)
    assert table.replace(partition, place, old, 2)
    again = person.http.post("/v1/jobs", json=body, headers=KEY)
    assert not replays(again)
    assert again.json()["job_id"] == first.json()["job_id"]


def test_the_table_does_not_answer(person: Person, served: Served) -> None:
    song = person.song()

    def silent(*_: Any, **__: Any) -> Any:
        raise Unavailable("The operational table does not answer.")

    with pytest.MonkeyPatch.context() as patch:
        # Before: nothing was done, and it says so.
        patch.setattr(served.application.answers, "claim", silent)
        assert_problem(person.ask(song, key="k"), 503, "unavailable")
        assert person.ask(song).status_code == 201
    with pytest.MonkeyPatch.context() as patch:
        # After: the answer is the client's all the same.
        patch.setattr(served.application.answers, "keep", silent)
        assert person.ask(song, key="k2").status_code == 201


def test_an_answer_too_long_to_keep_is_made_anew(person: Person, served: Served) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handlers.api.idempotency.MOST_BYTES", 100)
        song = person.song()
        first = person.ask(song, key="k")
        again = person.ask(song, key="k")
    assert replays(again)
    assert again.json()["job_id"] == first.json()["job_id"]
    assert kept(served, person)[-1].body is None


# --- what it costs -----------------------------------------------------------------------------


def test_what_it_costs(settings: Settings, person: Person) -> None:
    application = Application(settings)
    meter = Meter(application.client("dynamodb"))
    application.__dict__["operational_table"] = OperationalTable(meter, settings.operations_table)
    song = person.song()
    token = person.http.headers["Authorization"]
    with serving(application) as other, client(other.url, Authorization=token) as http:
        wish = {"asset_id": song}

        def cost(headers: dict[str, str]) -> Units:
            meter.reset()
            assert http.post("/v1/quotes", json=wish, headers=headers).is_success
            return meter.by_table[settings.operations_table]

        assert cost({}) == Units()
        # The claim, then the answer in its place.
        assert cost(KEY) == Units(writes=2)
        # The refused claim brings the answer with it.
        assert cost(KEY) == Units(writes=1)
