from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from domain.purchase import PURCHASE
from handlers.api.problems import NoCreditsProblem
from tests.handlers.api.buyers import opened, order
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person, assert_problem
from tests.handlers.api.till import Till, told_all


def test_packs_are_public(anyone: httpx.Client) -> None:
    items = anyone.get("/v1/packs").json()["items"]
    assert [(i["name"], i["credits"], i["amount"], i["price"]) for i in items] == [
        ("hour", 3600, 390, "3.90 EUR"),
        ("album", 18000, 1490, "14.90 EUR"),
        ("studio", 90000, 5900, "59.00 EUR"),
    ]


def test_a_purchase_from_page_to_credits(person: Person, till: Till) -> None:
    made = opened(person, "album")
    assert (made["credits"], made["amount"], made["currency"]) == (18000, 1490, "eur")
    session = till.session(made["url"])
    assert session["client_reference_id"] == person.user_id
    assert session["metadata"] == {
        "purchase_id": made["purchase_id"], "user_id": person.user_id, "pack": "album",
        "credits": "18000",
    }  # fmt: skip
    back = urlsplit(session["success_url"])
    assert (back.netloc, parse_qs(back.query)) == (
        "app.example",
        {"tab": ["credits"], "purchase": [made["purchase_id"]], "outcome": ["paid"]},
    )
    path = f"/v1/purchases/{made['purchase_id']}"
    assert person.http.get(path).json()["status"] == "open"
    assert person.http.get("/v1/credits").json()["available"] == 100

    paid = till.pay(made["url"])
    told_all(person.http, till.events(paid["payment_intent"]))
    answer = person.http.get(path, params={"min_version": made["version"] + 1})
    shown = answer.json()
    assert (shown["status"], shown["revoked"], shown["in_question"]) == ("paid", 0, False)
    assert shown["paid_at"]
    tag = answer.headers["etag"]
    assert person.http.get(path, headers={"If-None-Match": tag}).status_code == 304
    account = person.http.get("/v1/credits").json()
    assert (account["available"], account["debt"]) == (18100, 0)
    line = person.http.get("/v1/credits/history").json()["items"][0]
    assert (line["kind"], line["purchase_id"]) == ("grant", made["purchase_id"])


def test_the_same_key_is_the_same_purchase(person: Person, till: Till) -> None:
    first, again = opened(person, key="k"), opened(person, key="k")
    assert again == first
    assert_problem(order(person, "album", "k"), 422, "idempotency_key_reused")
    told_all(person.http, till.events(till.pay(first["url"])["payment_intent"]))
    assert opened(person, key="k") == first
    assert opened(person)["purchase_id"] != opened(person)["purchase_id"]


def test_the_same_key_at_once(person: Person, served: Served) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: order(person, key="once"), range(8)))
    made = {(a.json()["purchase_id"], a.json()["url"]) for a in answers if a.status_code == 201}
    assert len(made) == 1
    for answer in answers:
        assert answer.status_code == 201 or answer.json()["retryable"]
    stream = PURCHASE.stream(made.pop()[0])
    assert served.application.store.load(PURCHASE, stream).version == 1


def test_lists_and_strangers(person: Person, new_person: Any) -> None:
    made = [opened(person, name) for name in ("hour", "album", "studio")]
    own = {"stream": made[2]["stream"], "min_version": 1}
    page = person.http.get("/v1/purchases", params={"limit": 3, **own}).json()
    assert page["items"][0]["purchase_id"] == made[2]["purchase_id"]
    stranger = new_person()
    path = f"/v1/purchases/{made[0]['purchase_id']}"
    assert_problem(stranger.http.get(path), 404, "not_found")
    assert stranger.http.get("/v1/purchases").json()["items"] == []
    assert_problem(stranger.http.get("/v1/purchases/pur_x"), 404, "not_found")
    # The same key of somebody else is another purchase.
    assert opened(stranger, key="k")["purchase_id"] != opened(person, key="k")["purchase_id"]


@pytest.mark.parametrize("pack", ["", "gone", 7, None, "x" * 41])
def test_no_such_pack(person: Person, pack: Any) -> None:
    answer = person.http.post("/v1/checkout", json={"pack": pack})
    code = "unknown_pack" if pack == "gone" else "invalid_request"
    assert_problem(answer, 422, code)


def test_an_empty_account_is_told_where_to_buy(person: Person) -> None:
    problem = assert_problem(person.ask(person.song(seconds=4000)), 402, "not_enough_credits")
    assert problem.keys() >= set(NoCreditsProblem.__struct_fields__) - {"errors"}
    assert (problem["required"], problem["available"]) == (4000, 100)
    assert (problem["missing"], problem["debt"]) == (3900, 0)
    assert (problem["checkout"], problem["packs"]) == ("/v1/checkout", "/v1/packs")
    assert problem["pack"] == "album"
