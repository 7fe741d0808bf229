"""Money that goes back: refunds, disputes, payments that come late; in any order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from infra.local.stripe import control
from tests.handlers.api.buyers import account, bought, opened, purchase
from tests.handlers.api.people import Person, assert_problem
from tests.handlers.api.till import Till, tell, told_all


def news(till: Till, made: dict[str, Any], known: int) -> list[dict[str, Any]]:
    return till.events(made["payment_intent"])[known:]


@pytest.fixture
def paid(person: Person, till: Till) -> dict[str, Any]:
    made = bought(person, till)
    return {**made, "known": len(till.events(made["payment_intent"]))}


def test_a_part_that_is_refunded_takes_its_part_of_the_credits(
    person: Person, till: Till, paid: dict[str, Any]
) -> None:
    control.refund(till.url, paid["payment_intent"], 100)
    told_all(person.http, news(till, paid, paid["known"]))
    assert purchase(person, paid)["taken_back"] == 100
    # 3600 * 100 / 390 = 923.08; fractions are the user's.
    assert account(person)["available"] == 3700 - 923
    control.refund(till.url, paid["payment_intent"])
    told_all(person.http, news(till, paid, paid["known"]))
    shown = purchase(person, paid)
    assert (shown["taken_back"], shown["revoked"], shown["contested"]) == (390, 3600, False)
    assert (account(person)["available"], account(person)["debt"]) == (100, 0)


def test_a_refund_of_what_was_spent_is_a_debt_that_the_next_purchase_settles(
    person: Person, till: Till, paid: dict[str, Any]
) -> None:
    job = person.ask(person.song(seconds=3000)).json()
    person.worker.finish(job, person.user_id)
    control.refund(till.url, paid["payment_intent"])
    told_all(person.http, news(till, paid, paid["known"]))
    owing = account(person)
    assert (owing["available"], owing["debt"]) == (0, 2900)
    problem = assert_problem(person.ask(person.song()), 402, "not_enough_credits")
    assert (problem["missing"], problem["debt"], problem["pack"]) == (2910, 2900, "hour")
    bought(person, till)
    assert (account(person)["available"], account(person)["debt"]) == (700, 0)


def test_a_refund_before_its_payment(person: Person, till: Till) -> None:
    made = opened(person)
    payment = till.pay(made["url"])["payment_intent"]
    before = till.events(payment)
    control.refund(till.url, payment, 390)
    told_all(person.http, till.events(payment)[len(before) :])
    assert account(person)["available"] == 100
    told_all(person.http, before)
    shown = purchase(person, made)
    assert (shown["status"], shown["revoked"]) == ("paid", 3600)
    assert account(person)["available"] == 100


def test_cumulative_refunds_out_of_order(person: Person, till: Till, paid: dict[str, Any]) -> None:
    for amount in (50, 100, 40):
        control.refund(till.url, paid["payment_intent"], amount)
    events = news(till, paid, paid["known"])
    sums = [e["data"]["object"]["amount_refunded"] for e in events
            if e["type"] == "charge.refunded"]  # fmt: skip
    assert sums == [50, 150, 190]
    random.Random(7).shuffle(events)
    told_all(person.http, events + events[::-1])
    assert purchase(person, paid)["taken_back"] == 190
    assert account(person)["available"] == 3700 - 3600 * 190 // 390


def test_a_refund_that_fails_gives_the_credits_back(
    person: Person, till: Till, paid: dict[str, Any]
) -> None:
    control.refund(till.url, paid["payment_intent"], 390)
    told_all(person.http, news(till, paid, paid["known"]))
    assert account(person)["available"] == 100
    refund = till.get("/refunds", payment_intent=paid["payment_intent"])["data"][0]["id"]
    control.fail_refund(till.url, refund)
    told_all(person.http, news(till, paid, paid["known"]))
    assert purchase(person, paid)["revoked"] == 0
    assert account(person)["available"] == 3700


@pytest.mark.parametrize("won", [True, False])
def test_disputes(person: Person, till: Till, paid: dict[str, Any], won: bool) -> None:
    control.dispute(till.url, paid["payment_intent"])
    told_all(person.http, news(till, paid, paid["known"]))
    assert purchase(person, paid)["contested"]
    assert account(person)["available"] == 100
    dispute = till.get("/disputes", payment_intent=paid["payment_intent"])["data"][0]["id"]
    control.contest(till.url, dispute)
    control.close_dispute(till.url, dispute, won=won)
    events = news(till, paid, paid["known"])
    told_all(person.http, events[::-1] + events)
    shown = purchase(person, paid)
    assert (shown["contested"], shown["revoked"]) == (not won, 0 if won else 3600)
    assert account(person)["available"] == (3700 if won else 100)


def test_money_that_takes_days(person: Person, till: Till) -> None:
    made = opened(person)
    payment = till.pay(made["url"], "bank")["payment_intent"]
    told_all(person.http, till.events(payment))
    assert purchase(person, made)["status"] == "pending"
    assert account(person)["available"] == 100
    control.settle(till.url, payment)
    told_all(person.http, till.events(payment)[::-1])
    assert purchase(person, made)["status"] == "paid"
    assert account(person)["available"] == 3700


def test_money_that_never_comes(person: Person, till: Till) -> None:
    made = opened(person)
    payment = till.pay(made["url"], "failing_bank")["payment_intent"]
    told_all(person.http, till.events(payment))
    control.fail_payment(till.url, payment)
    told_all(person.http, till.events(payment))
    shown = purchase(person, made)
    assert (shown["status"], shown["why"]) == ("lapsed", "payment_failed")
    assert account(person)["available"] == 100


def test_a_page_that_nobody_used(person: Person, till: Till) -> None:
    made = opened(person, key="k")
    session = till.session(made["url"])["id"]
    control.expire(till.url, session)
    listed = till.get("/events", type="checkout.session.expired", limit=100)["data"]
    event = next(e for e in listed if e["data"]["object"]["id"] == session)
    assert tell(person.http, event).is_success
    shown = purchase(person, made)
    assert (shown["status"], shown["why"]) == ("lapsed", "expired")
    assert opened(person, key="k") == made, "the first answer; the purchase says how it stands"
