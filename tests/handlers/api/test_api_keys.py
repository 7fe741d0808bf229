"""API keys: told once, good for what their scopes say, over when they are revoked or expire."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import get
from litestar.exceptions import ImproperlyConfiguredException

from domain import api_keys
from domain.api_keys import SCOPES
from domain.errors import AccountErased, Unauthenticated, Unavailable
from domain.user import MOST_KEYS, UserState
from handlers.api import create_app
from handlers.api.keys.ring import CACHE_SECONDS, KeyRing
from handlers.api.usage import usage
from infra.bootstrap import Application
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import Person, assert_problem, client

Acting = Callable[[str], httpx.Client]
BODY = {"name": "backup robot", "scopes": list(SCOPES)}


def make(person: Person, *scopes: str, **wish: Any) -> dict[str, Any]:
    body = {**BODY, "scopes": list(scopes or SCOPES), **wish}
    answer = person.http.post("/v1/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/api-keys/{made['key_id']}"
    return made


@pytest.fixture
def acting(served: Served) -> Iterator[Acting]:
    """A client that acts with that key."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(client(served.url, Authorization=f"Bearer {key}"))


def test_a_key_acts_for_its_person_as_far_as_its_scopes_go(person: Person, acting: Acting) -> None:
    reader = acting(make(person, "read")["key"])
    assert reader.get("/v1/credits").json()["available"] == 100
    answer = reader.post("/v1/uploads", json={"filename": "a.mp3", "size": 3})
    problem = assert_problem(answer, 403, "insufficient_scope")
    assert (problem["missing"], problem["scope"]) == (["scope"], "write")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="splitsound", error="insufficient_scope", ')
    assert challenge.endswith(', scope="write"')
    writer = acting(make(person, "write")["key"])
    assert writer.post("/v1/uploads", json={"filename": "a.mp3", "size": 3}).status_code == 201
    assert_problem(writer.get("/v1/credits"), 403, "insufficient_scope")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/api-keys"), ("POST", "/v1/api-keys"), ("DELETE", "/v1/api-keys/key_x"),
     ("GET", "/v1/admin/operations"), ("GET", "/metrics")],
)  # fmt: skip
def test_no_key_makes_keys_or_is_an_administrator(
    admin: Person, acting: Acting, method: str, path: str
) -> None:
    answer = acting(make(admin)["key"]).request(method, path)
    assert assert_problem(answer, 403, "person_required")["missing"] == ["person"]
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_key_is_told_once_and_kept_as_a_digest(person: Person, served: Served) -> None:
    made = make(person, "webhooks", "read")
    assert made["scopes"] == ["read", "webhooks"]
    listed = person.http.get("/v1/api-keys").json()["items"]
    assert listed == [{name: made[name] for name in made if name != "key"}]
    kept = str(list(served.application.store.read(f"user-{person.user_id}")))
    assert api_keys.digest(made["key"]) in kept
    for secret in (made["key"], made["key"][56:88], "backup robot"):
        assert secret not in kept


def test_the_same_request_again_makes_no_second_key(person: Person) -> None:
    once = {"Idempotency-Key": "once"}
    first = person.http.post("/v1/api-keys", json=BODY, headers=once).json()
    again = person.http.post("/v1/api-keys", json=BODY, headers=once)
    assert (again.status_code, again.json()) == (201, first)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(person.http.get("/v1/api-keys").json()["items"]) == 1
    other = person.http.post("/v1/api-keys", json={**BODY, "scopes": ["read"]}, headers=once)
    assert_problem(other, 422, "idempotency_key_reused")


def test_a_late_repetition_brings_no_revoked_key_back(person: Person, acting: Acting) -> None:
    once = {"Idempotency-Key": "once"}
    first = person.http.post("/v1/api-keys", json=BODY, headers=once).json()
    assert person.http.delete(f"/v1/api-keys/{first['key_id']}").status_code == 204
    again = person.http.post("/v1/api-keys", json=BODY, headers=once)
    assert again.json() == first, "the first answer, and nothing but the answer"
    assert_problem(acting(first["key"]).get("/v1/jobs"), 401, "unauthenticated")
    assert person.http.get("/v1/api-keys").json()["items"] == []


def test_two_people_may_use_the_same_idempotency_key(new_person: Callable[[], Person]) -> None:
    once = {"Idempotency-Key": "once"}
    made = [new_person().http.post("/v1/api-keys", json=BODY, headers=once) for _ in "ab"]
    assert len({answer.json()["key_id"] for answer in made}) == 2
    assert all(answer.json()["key"] for answer in made)


def test_a_revoked_key_is_over_at_once_here(person: Person, acting: Acting) -> None:
    made = make(person)
    http = acting(made["key"])
    assert http.get("/v1/jobs").status_code == 200
    path = f"/v1/api-keys/{made['key_id']}"
    assert person.http.delete(path).status_code == 204
    assert_problem(person.http.delete(path), 404, "not_found")
    answer = http.get("/v1/jobs")
    assert_problem(answer, 401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_revoked_key_is_over_within_seconds_elsewhere(person: Person, served: Served) -> None:
    made = make(person)
    headers = {"Authorization": f"Bearer {made['key']}"}
    with serving(Application(served.application.settings)) as other, client(other.url) as http:
        assert http.get("/v1/jobs", headers=headers).status_code == 200
        person.http.delete(f"/v1/api-keys/{made['key_id']}")
        deadline = time.monotonic() + CACHE_SECONDS + 1
        while http.get("/v1/jobs", headers=headers).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_key_ends_by_itself(person: Person, acting: Acting) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    made = make(person, expires_at=soon.isoformat())
    assert made["expires_at"].startswith(soon.isoformat()[:19])
    http = acting(made["key"])
    assert http.get("/v1/jobs").status_code == 200
    time.sleep(1.1)
    assert_problem(http.get("/v1/jobs"), 401, "unauthenticated")
    assert [k["key_id"] for k in person.http.get("/v1/api-keys").json()["items"]] == [
        made["key_id"]
    ]


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"name": ""}, "#/name"),
        ({"name": " \t"}, "#/name"),
        ({"name": "x" * 101}, "#/name"),
        ({"scopes": []}, "#/scopes"),
        ({"scopes": ["root"]}, "#/scopes"),
        ({"scopes": ["read"] * 5}, "#/scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "#/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "#/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "#/expires_at"),
        ({"admin": True}, "#/admin"),
    ],
)
def test_wishes_that_are_refused(person: Person, wish: dict[str, Any], pointer: str) -> None:
    answer = person.http.post("/v1/api-keys", json={**BODY, **wish})
    problem = assert_problem(answer, 422, "invalid_request")
    assert [e["pointer"] for e in problem["errors"]] == [pointer]


def test_a_person_has_so_many_keys_and_no_more(person: Person) -> None:
    made = [make(person, name=str(n)) for n in range(MOST_KEYS)]
    assert_problem(person.http.post("/v1/api-keys", json=BODY), 409, "not_allowed_now")
    person.http.delete(f"/v1/api-keys/{made[3]['key_id']}")
    make(person, name="another")


def test_when_a_key_was_last_used(person: Person, acting: Acting) -> None:
    made = make(person)
    assert made["last_used_at"] is None
    acting(made["key"]).get("/v1/jobs")
    (listed,) = person.http.get("/v1/api-keys").json()["items"]
    used = datetime.fromisoformat(listed["last_used_at"])
    assert abs((datetime.now(UTC) - used).total_seconds()) < 60


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key[:-9] + ("0" if key[-9] != "0" else "1") + key[-8:],
        lambda _: "ssk_",
        lambda key: key.upper(),
        lambda key: key.replace("ssk_", "ssk-"),
        lambda key: key[:30] + "é" + key[31:],
        lambda key: "ssk_" + "x" * 7000,
    ],
)  # fmt: skip
def test_a_mistyped_key_is_refused(person: Person, anyone: httpx.Client, spoil: Any) -> None:
    sent = f"Bearer {spoil(make(person)['key'])}".encode()
    answer = anyone.get("/v1/jobs", headers=[(b"Authorization", sent)])
    assert_problem(answer, 401, "unauthenticated")


def test_a_key_that_nobody_has_with_a_checksum_that_fits(
    person: Person, new_person: Callable[[], Person], anyone: httpx.Client
) -> None:
    made = make(person)
    other = new_person()
    for user_id, key_id in (
        (person.user_id, made["key_id"]),  # another secret
        (person.user_id, "key_" + "0" * 26),
        (other.user_id, made["key_id"]),
        ("usr_" + "0" * 26, made["key_id"]),
    ):
        text = api_keys.compose(user_id, key_id, bytes(range(20)))
        answer = anyone.get("/v1/jobs", headers={"Authorization": f"Bearer {text}"})
        assert_problem(answer, 401, "unauthenticated")


# --- the ring --------------------------------------------------------------------------------


class Clock:
    """Moved by hand."""

    time = 1_000_000

    def now(self) -> int:
        """See Clock."""
        return self.time


class Uses:
    """A table that is away."""

    def due(self, key_id: str, now: int) -> bool:
        """See KeyUses."""
        return True

    def note(self, user_id: str, key_id: str, now: int) -> None:
        """See KeyUses."""
        raise Unavailable("The operational table did not answer.")


def test_the_ring_reads_seldom_and_never_for_what_cannot_be_a_key() -> None:
    user_id, key_id = "usr_" + "1" * 26, "key_" + "2" * 26
    text = api_keys.compose(user_id, key_id, bytes(20))
    kept = api_keys.ApiKey(key_id, None, api_keys.digest(text), ("read",), 0)  # type: ignore[arg-type]
    reads: list[str] = []

    class Loaded:
        state = UserState(user_id, "development", keys={key_id: kept})

    def person_of(user_id: str) -> Any:
        reads.append(user_id)
        return Loaded()

    clock = Clock()
    ring = KeyRing(person_of, Uses(), clock)  # type: ignore[arg-type]
    for _ in range(3):
        # That a use cannot be noted refuses nobody.
        assert ring.caller(text).scopes == ("read",)
    assert reads == [user_id]
    with pytest.raises(Unauthenticated):
        ring.caller(text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert reads == [user_id]
    clock.time += 1000 * CACHE_SECONDS
    ring.caller(text)
    clock.time -= 3_600_000  # a clock that was put right
    ring.caller(text)
    assert len(reads) == 3
    ring.changed(user_id)
    ring.caller(text)
    assert len(reads) == 4


def test_what_was_read_before_a_change_is_not_kept() -> None:
    user_id, key_id = "usr_" + "1" * 26, "key_" + "2" * 26
    text = api_keys.compose(user_id, key_id, bytes(20))
    kept = api_keys.ApiKey(key_id, None, api_keys.digest(text), ("read",), 0)  # type: ignore[arg-type]
    states = [UserState(user_id, "x"), UserState(user_id, "x", keys={key_id: kept})]

    def person_of(user_id: str) -> Any:
        state = states.pop()
        if len(states) == 1:  # revoked while this was on its way
            ring.changed(user_id)
        return type("Loaded", (), {"state": state})

    ring = KeyRing(person_of, Uses(), Clock())  # type: ignore[arg-type]
    assert ring.caller(text).user_id == user_id
    with pytest.raises(Unauthenticated):
        ring.caller(text)


def test_the_tokens_of_the_erased_are_refused_and_those_of_who_comes_back_are_not() -> None:
    away, erased = UserState("usr_1", "x"), UserState("usr_1", erased=True)
    known: list[UserState | Exception] = [away, erased, erased, away, Unavailable("Away.")]

    def person_of(_: str) -> Any:
        state = known.pop(0)
        if isinstance(state, Exception):
            raise state
        return type("Loaded", (), {"state": state})

    clock = Clock()
    ring = KeyRing(person_of, Uses(), clock)  # type: ignore[arg-type]
    for _ in range(2):
        ring.require_not_erased("usr_1")  # read once
    clock.time += 1000 * CACHE_SECONDS
    for _ in range(2):
        with pytest.raises(AccountErased):
            ring.require_not_erased("usr_1")
    for _ in range(2):
        ring.require_not_erased("usr_1")
    clock.time += 1000 * CACHE_SECONDS
    ring.require_not_erased("usr_1")  # nobody says that she is gone
    assert known == []


# --- declarations ----------------------------------------------------------------------------


@pytest.mark.parametrize("opt", [{}, {"scope": "root"}, {"scop": "read"}])
def test_a_route_that_does_not_say_which_keys_it_takes_is_no_route(
    served: Served, monkeypatch: pytest.MonkeyPatch, opt: dict[str, Any]
) -> None:
    @get("/secrets", opt=opt)
    async def undeclared() -> None: ...

    monkeypatch.setattr("handlers.api.app.usage", undeclared)
    with pytest.raises(ImproperlyConfiguredException, match="GET /v1/secrets does not say"):
        create_app(served.application)
    monkeypatch.setattr("handlers.api.app.usage", usage)
    create_app(served.application)
