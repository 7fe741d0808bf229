"""A person who buys."""

from __future__ import annotations

from typing import Any

import httpx

from tests.handlers.api.people import Person
from tests.handlers.api.till import Till, told_all


def order(person: Person, pack: str = "hour", key: str | None = None) -> httpx.Response:
    """POST /v1/checkout."""
    headers = {"Idempotency-Key": key} if key else {}
    return person.http.post("/v1/checkout", json={"pack": pack}, headers=headers)


def opened(person: Person, pack: str = "hour", key: str | None = None) -> dict[str, Any]:
    """A purchase whose page is open."""
    answer = order(person, pack, key)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/purchases/{made['purchase_id']}"
    return made


def bought(person: Person, till: Till, pack: str = "hour") -> dict[str, Any]:
    """A purchase that is paid, here too; with its ``payment_intent``."""
    made = opened(person, pack)
    payment = till.pay(made["url"])["payment_intent"]
    told_all(person.http, till.events(payment))
    return {**made, "payment_intent": payment}


def purchase(person: Person, made: dict[str, Any]) -> dict[str, Any]:
    """As the API shows it, never stale."""
    commits = person.worker.application.store.read(made["stream"])
    params = {"min_version": max(commit.last for commit in commits)}
    path = f"/v1/purchases/{made['purchase_id']}"
    found: dict[str, Any] = person.http.get(path, params=params).json()
    return found


def account(person: Person) -> dict[str, Any]:
    """GET /v1/credits; the law holds."""
    told: dict[str, Any] = person.http.get("/v1/credits").json()
    spent = told["reserved"] + told["captured"] + told["expired"] + told["revoked"]
    assert told["granted"] == told["available"] + spent - told["debt"]
    return told
