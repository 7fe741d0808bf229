"""A shop that is shut, half open, or cut off from Stripe; prices that are agreed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from domain.errors import Invalid
from domain.ids import derived
from domain.purchase import PURCHASE
from handlers.api import create_app
from infra.bootstrap import Application
from infra.local.ports import free_port
from infra.settings import Settings
from tests.handlers.api.buyers import account, opened, order, purchase
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import Person, assert_problem, client
from tests.handlers.api.till import WEBHOOK, Till, signed, tell, told_all


@contextmanager
def another(settings: Settings, person: Person, **changes: Any) -> Iterator[httpx.Client]:
    """The person at an API with other settings, on the same tables."""
    token = person.http.headers["Authorization"]
    with (
        serving(Application(replace(settings, **changes))) as running,
        client(running.url, Authorization=token) as http,
    ):
        yield http


def purchase_id_of(person: Person, key: str) -> str:
    """What that key always gives."""
    return derived("pur", person.user_id, "checkout", key)


def test_where_nothing_is_sold_the_rest_works(settings: Settings, person: Person) -> None:
    song = person.song(seconds=101)
    with another(settings, person, stripe_api_key="", stripe_webhook_secrets="") as http:
        assert http.get("/v1/packs").json() == {"items": []}
        problem = assert_problem(
            http.post("/v1/checkout", json={"pack": "hour"}), 503, "nothing_for_sale"
        )
        assert not problem["retryable"]
        assert "takes no payments" in problem["detail"]
        body, headers = signed("{}")
        hook = http.post(WEBHOOK, content=body, headers=headers)
        assert_problem(hook, 503, "nothing_for_sale")
        short = assert_problem(
            http.post("/v1/jobs", json={"asset_id": song}), 402, "not_enough_credits"
        )
        assert short["missing"] == 1
        assert "Buy" not in short["detail"]
        assert short.keys().isdisjoint({"checkout", "packs", "pack"})
        assert http.get("/v1/purchases").json() == {"items": [], "cursor": None}


def test_stripe_does_not_answer(settings: Settings, person: Person, served: Served) -> None:
    nowhere = f"http://127.0.0.1:{free_port(None)}"
    with another(settings, person, stripe_api_base=nowhere) as http:
        headers = {"Idempotency-Key": "k"}
        answer = http.post("/v1/checkout", json={"pack": "hour"}, headers=headers)
        problem = assert_problem(answer, 503, "unavailable")
        assert problem["retryable"]
        assert "127.0.0.1" not in answer.text
        assert http.get("/v1/credits").is_success
    stream = PURCHASE.stream(purchase_id_of(person, "k"))
    assert list(served.application.store.read(stream)) == []
    # Once it is back, the same key goes through.
    assert opened(person, key="k")["version"] == 1


def test_a_key_that_stripe_does_not_take(settings: Settings, person: Person) -> None:
    with another(settings, person, stripe_api_key="sk_test_revoked") as http:
        answer = http.post("/v1/checkout", json={"pack": "hour"})
        assert_problem(answer, 503, "unavailable")
        assert "sk_test" not in answer.text


def test_a_crash_between_the_page_and_the_record(
    person: Person, till: Till, served: Served
) -> None:
    application = served.application
    purchase_id = purchase_id_of(person, "k")
    assert application.payments is not None
    page = application.payments.open_checkout(
        purchase_id, person.user_id, application.packs["hour"]
    )
    # Somebody pays before anybody asks again: Stripe is sent away until it is on record.
    paid = till.pay(str(page.url))
    events = till.events(paid["payment_intent"])
    assert_problem(tell(person.http, events[-1]), 409, "purchase_unknown")
    assert_problem(order(person, "album", "k"), 422, "idempotency_key_reused")
    made = opened(person, key="k")
    assert made["purchase_id"] == purchase_id
    assert made["stream"] == f"purchase-{purchase_id}"
    told_all(person.http, events)
    assert purchase(person, made)["status"] == "paid"
    assert account(person)["available"] == 3700


def test_a_table_that_does_not_answer_has_stripe_send_again(
    settings: Settings, person: Person, till: Till
) -> None:
    made = opened(person)
    event = till.events(till.pay(made["url"])["payment_intent"])[-1]
    with another(settings, person, events_table="no-such-table") as http:
        assert_problem(tell(http, event), 503, "unavailable")
    assert tell(person.http, event).is_success
    assert account(person)["available"] == 3700


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stripe_webhook_secrets": " , "}, "STRIPE_WEBHOOK_SECRETS"),
        ({"checkout_return_url": ""}, "CHECKOUT_RETURN_URL"),
        ({"checkout_return_url": "app.example/bought"}, "CHECKOUT_RETURN_URL"),
        ({"credit_packs": "[{]"}, "credit packs"),
        ({"credit_packs": "[]]"}, "credit packs"),
    ],
)
def test_half_a_shop_does_not_open(settings: Settings, changes: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        create_app(Application(replace(settings, **changes)))


@pytest.mark.parametrize("field", ["amount", "credits", "expires_days"])
@pytest.mark.parametrize("value", [0, -1, 10**10, 1.5, "5", True])
def test_packs_of_nothing_and_of_too_much(settings: Settings, field: str, value: Any) -> None:
    pack = {"name": "a", "title": "A", "credits": 1, "amount": 1, "currency": "eur", field: value}
    # A mistake is one even where nothing is sold.
    wrong = replace(settings, credit_packs=json.dumps([pack]), stripe_api_key="")
    with pytest.raises(Invalid, match=r"[Pp]ack|[Pp]rice"):
        create_app(Application(wrong))


def test_packs_of_the_deployments_own(settings: Settings, person: Person, till: Till) -> None:
    packs = [
        {"name": "yen", "title": "Ein großes Paket", "credits": 7, "amount": 500,
         "currency": "jpy", "expires_days": 30}
    ]  # fmt: skip
    with another(settings, person, credit_packs=json.dumps(packs)) as http:
        assert http.get("/v1/packs").json()["items"][0]["price"] == "500 JPY"
        made = http.post("/v1/checkout", json={"pack": "yen"}).json()
        told_all(http, till.events(till.pay(made["url"])["payment_intent"]))
    grants = person.http.get("/v1/credits").json()["grants"]
    assert [(g["left"], bool(g["expires_at"])) for g in grants] == [(100, False), (7, True)]


def test_what_was_agreed_stays_when_the_price_list_changes(
    settings: Settings, person: Person, till: Till
) -> None:
    made = opened(person, key="k")
    packs = [{"name": "hour", "title": "H", "credits": 1, "amount": 9999, "currency": "usd"}]
    with another(settings, person, credit_packs=json.dumps(packs)) as http:
        headers = {"Idempotency-Key": "k"}
        again = http.post("/v1/checkout", json={"pack": "hour"}, headers=headers).json()
        assert again == made
        told_all(http, till.events(till.pay(made["url"])["payment_intent"]))
    assert account(person)["available"] == 3700


def test_a_job_at_the_quoted_price(person: Person) -> None:
    song = person.song()
    quoted = person.http.post("/v1/quotes", json={"asset_id": song}).json()
    quote = {"price": quoted["price"], "price_list": quoted["price_list"]}
    for wrong in ({**quote, "price": 9}, {**quote, "price_list": "1999-01"}):
        problem = assert_problem(
            person.http.post("/v1/jobs", json={"asset_id": song, "quote": wrong}),
            409, "price_changed",
        )  # fmt: skip
        assert (problem["price"], problem["price_list"]) == (10, quote["price_list"])
        assert not problem["retryable"]
    assert person.http.get("/v1/credits").json()["reserved"] == 0
    for bad in ({"price": 10}, {**quote, "price": -1}, {**quote, "price": 1.5}, "10"):
        answer = person.http.post("/v1/jobs", json={"asset_id": song, "quote": bad})
        assert_problem(answer, 422, "invalid_request")
    body = {"asset_id": song, "quote": quote}
    job = person.http.post("/v1/jobs", json=body).json()
    assert (job["price"], job["price_list"]) == (10, quote["price_list"])
    assert person.http.get(f"/v1/jobs/{job['job_id']}").json()["price_list"] == job["price_list"]
