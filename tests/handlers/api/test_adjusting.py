"""Operators' hands on accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.credits import MAX_AMOUNT
from tests.handlers.api.buyers import account
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person, assert_problem


def adjust(admin: Person, user_id: str, key: str = "", **wish: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/v1/admin/credits/{user_id}/adjust"
    return admin.http.post(path, json={"reason": "an apology", **wish}, headers=headers)


def test_give_and_take(admin: Person, person: Person, served: Served) -> None:
    user_id = person.user_id
    given = adjust(admin, user_id, amount=50, source="promotion", priority=5).json()
    assert (given["available"], given["grants"][1]["source"]) == (150, "promotion")
    taken = adjust(admin, user_id, amount=-70).json()
    assert (taken["available"], taken["revoked"], taken["debt"]) == (80, 70, 0)
    shown = admin.http.get(f"/v1/admin/credits/{user_id}").json()
    assert shown == taken
    assert account(person)["available"] == 80
    lines = person.http.get("/v1/credits/history").json()["items"]
    assert [(i["kind"], i["change"], i["reason"]) for i in lines[:2]] == [
        ("revoke", -70, "an apology"), ("grant", 50, "an apology"),
    ]  # fmt: skip
    commits = list(served.application.store.read(f"credits-{user_id}"))
    assert [c.actor for c in commits[1:]] == [admin.user_id] * 2


def test_the_same_key_acts_once(admin: Person, person: Person) -> None:
    for _ in range(3):
        assert adjust(admin, person.user_id, "k", amount=5).json()["available"] == 105
    other = adjust(admin, person.user_id, "k", amount=6)
    assert_problem(other, 422, "idempotency_key_reused")
    assert adjust(admin, person.user_id, amount=5).json()["available"] == 110


def test_what_is_given_may_end(admin: Person, person: Person) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    given = adjust(admin, person.user_id, amount=5, expires_at=soon.isoformat()).json()
    assert given["grants"][1]["expires_at"]
    past = (soon - timedelta(days=4)).isoformat()
    assert_problem(adjust(admin, person.user_id, amount=5, expires_at=past), 422, "invalid_request")
    naive = adjust(admin, person.user_id, amount=5, expires_at="2030-01-01T00:00:00")
    assert_problem(naive, 422, "invalid_request")


@pytest.mark.parametrize(
    "amount", [0, 0.5, -0.5, 1.0, "5", None, True, MAX_AMOUNT + 1, -MAX_AMOUNT - 1, 10**30, 1e308]
)
def test_amounts_that_are_none(admin: Person, person: Person, amount: Any) -> None:
    assert_problem(adjust(admin, person.user_id, amount=amount), 422, "invalid_request")
    assert account(person)["version"] == 1


def test_no_more_is_taken_than_there_is(admin: Person, person: Person) -> None:
    problem = assert_problem(adjust(admin, person.user_id, amount=-101), 409, "not_allowed_now")
    assert "100 credits to take" in problem["detail"]
    assert account(person)["debt"] == 0


def test_who_may_not(admin: Person, person: Person, served: Served) -> None:
    assert_problem(adjust(person, person.user_id, amount=5), 403, "not_an_admin")
    path = f"/v1/admin/credits/{person.user_id}"
    assert_problem(person.http.get(path), 403, "not_an_admin")
    nobody = served.application.ids.fresh("usr")
    for user_id in (nobody, "usr_x", "ast_" + nobody[4:]):
        assert_problem(adjust(admin, user_id, amount=5), 404, "not_found")
        assert_problem(admin.http.get(f"/v1/admin/credits/{user_id}"), 404, "not_found")
    for wish in ({"amount": 5, "reason": ""}, {"amount": 5, "reason": " "}, {"reason": "x"},
                 {"amount": 5, "source": "purchase"}, {"amount": 5, "priority": -1}):  # fmt: skip
        assert_problem(adjust(admin, person.user_id, **wish), 422, "invalid_request")
