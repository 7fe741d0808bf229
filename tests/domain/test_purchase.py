"""A purchase: what the provider tells merges to the same whatever the order."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import purchase
from domain.aggregate import Event
from domain.errors import Invalid, KeyReused, UnknownPack
from domain.money import Money
from domain.packs import covering, named, parse
from domain.purchase import PURCHASE, CheckoutOpened, Claim, Payment, PurchaseState

OPENED = CheckoutOpened("u", "pur_1", "cs_1", "hour", 1000, 300, "eur")
PAYMENT = Payment("cs_1", "u", "pi_1", 300, "eur")
Message = Callable[[PurchaseState], list[Event]]


def opened() -> PurchaseState:
    return PURCHASE.fold([OPENED])


def told(messages: list[Message]) -> PurchaseState:
    state = opened()
    for message in messages:
        state = PURCHASE.fold(message(state), state)
    return state


def paid() -> Message:
    return lambda state: purchase.pay(state, PAYMENT, "grt", 0)


def charge(refunded: int) -> Message:
    return lambda state: purchase.refund_charge(state, refunded)


def refund(name: str, amount: int, status: str) -> Message:
    return lambda state: purchase.note_refund(state, name, Claim(amount, status))


def dispute(name: str, amount: int, status: str) -> Message:
    return lambda state: purchase.note_dispute(state, name, Claim(amount, status))


def test_money_going_back_takes_credits_in_proportion() -> None:
    assert told([paid()]).revoked == 0
    assert told([paid(), charge(100)]).revoked == 333
    assert told([paid(), charge(100), charge(300)]).revoked == 1000
    assert told([paid(), charge(300), charge(100)]).revoked == 1000
    assert told([charge(300)]).revoked == 0


def test_a_refund_that_fails_gives_its_part_back_and_another_one_counts() -> None:
    state = told([paid(), charge(200), refund("re_1", 200, "succeeded")])
    assert state.taken_back == 200
    state = PURCHASE.fold(refund("re_1", 200, "failed")(state), state)
    assert state.taken_back == 0
    state = PURCHASE.fold(refund("re_2", 150, "succeeded")(state), state)
    assert (state.paid, state.taken_back) == (300, 150)


@pytest.mark.parametrize(
    ("statuses", "taken"),
    [
        (["warning_needs_response", "warning_under_review", "warning_closed"], 0),
        (["needs_response"], 300),
        (["needs_response", "under_review", "won"], 0),
        (["won", "needs_response"], 0),
        (["needs_response", "lost"], 300),
    ],
)
def test_a_dispute_holds_the_money_until_it_is_won(statuses: list[str], taken: int) -> None:
    assert told([paid(), *(dispute("dp", 300, s) for s in statuses)]).taken_back == taken


def test_refund_and_dispute_together_take_no_more_than_was_paid() -> None:
    state = told([paid(), charge(200), dispute("dp", 300, "lost")])
    assert (state.taken_back, state.revoked) == (300, 1000)


MESSAGES = st.lists(
    st.one_of(
        st.builds(charge, st.integers(1, 300)),
        st.builds(
            refund, st.sampled_from(["re_1", "re_2"]), st.integers(1, 150),
            st.sampled_from(["pending", "succeeded", "failed", "canceled"]),
        ),
        st.builds(
            dispute, st.sampled_from(["dp_1", "dp_2"]), st.integers(1, 300),
            st.sampled_from(["warning_needs_response", "needs_response", "won", "lost"]),
        ),
        st.just(paid()),
        st.just(lambda state: purchase.lapse(state, "cs_1", "expired")),
        st.just(lambda state: purchase.pending(state, PAYMENT)),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=2000)
@given(MESSAGES, st.integers())
def test_any_order_and_any_repetition_gives_the_same_state(
    messages: list[Message], seed: int
) -> None:
    chance = random.Random(seed)
    again = messages + chance.choices(messages, k=5) if messages else []
    chance.shuffle(again)
    first, second = told([paid(), *messages]), told([*again, paid()])
    assert (first.status, first.paid, first.revoked) == (second.status, second.paid, second.revoked)
    assert (first.refunded, first.refunds, first.disputes) == (
        second.refunded, second.refunds, second.disputes,
    )  # fmt: skip
    assert 0 <= first.revoked <= 1000
    assert PURCHASE.restore(PURCHASE.snapshot(first)) == first


@pytest.mark.parametrize(
    "payment",
    [
        Payment("cs_other", "u", "pi", 300, "eur"),
        Payment("cs_1", "somebody", "pi", 300, "eur"),
        Payment("cs_1", "u", "pi", 1, "eur"),
        Payment("cs_1", "u", "pi", 300, "usd"),
    ],
)
def test_a_payment_that_is_not_what_was_agreed_is_questioned_once_and_grants_nothing(
    payment: Payment,
) -> None:
    state = opened()
    (question,) = purchase.pay(state, payment, "grt", 0)
    assert isinstance(question, purchase.PurchaseQuestioned)
    state = PURCHASE.fold([question], state)
    assert purchase.pay(state, payment, "grt", 0) == []
    assert purchase.pending(state, payment) == []
    assert len(purchase.pay(state, PAYMENT, "grt", 0)) == 1


def test_money_that_comes_after_all_counts() -> None:
    state = told([lambda s: purchase.lapse(s, "cs_1", "payment_failed"), paid()])
    assert state.status == purchase.PAID
    assert purchase.lapse(state, "cs_1", "expired") == []


def test_the_end_of_another_page_says_nothing_of_the_purchase() -> None:
    assert purchase.lapse(opened(), "cs_abandoned", "expired") == []


def test_credits_last_as_long_as_was_agreed_from_the_payment_on() -> None:
    agreed = CheckoutOpened("u", "pur_1", "cs_1", "hour", 1000, 300, "eur", expires_days=2)
    (paid_event,) = purchase.pay(PURCHASE.fold([agreed]), PAYMENT, "grt", 1_000)
    assert isinstance(paid_event, purchase.PurchasePaid)
    assert paid_event.expires == 1_000 + 2 * 86_400_000


def test_one_key_buys_one_thing() -> None:
    state = opened()
    assert purchase.open_checkout(state, OPENED) == []
    other = CheckoutOpened("u", "pur_1", "cs_9", "album", 5000, 1400, "eur")
    with pytest.raises(KeyReused):
        purchase.open_checkout(state, other)


def test_packs_come_from_configuration_and_say_what_is_wrong_with_them() -> None:
    packs = parse("")
    assert [p.name for p in packs.values()] == ["hour", "album", "studio"]
    assert covering(packs, 3601) == "album"
    assert covering(packs, 10**8) == "studio"
    assert covering({}, 1) is None
    with pytest.raises(UnknownPack, match="hour, album, studio"):
        named(packs, "day")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('"credits": 0', "1 to 1000000000 credits"),
        ('"credits": -5', "1 to 1000000000 credits"),
        ('"credits": 1.5', "Expected `int`"),
        ('"amount": 0', "1 to 99999999 minor units"),
        ('"amount": -100', "1 to 99999999 minor units"),
        ('"currency": "EURO"', "three lower case letters"),
        ('"name": "An hour"', "lower case letters, digits"),
        ('"title": " "', "needs a title"),
        ('"expires_days": 0', "1 to 36500 days"),
        ('"price": 5', "unknown field `price`"),
    ],
)
def test_a_wrong_pack_is_named(change: str, complaint: str) -> None:
    good = {"name": '"h"', "title": '"H"', "credits": "1", "amount": "100", "currency": '"eur"'}
    key, _, value = change.partition(": ")
    pack = good | {key.strip('"'): value}
    text = "[{" + ", ".join(f'"{k}": {v}' for k, v in pack.items()) + "}]"
    with pytest.raises(Invalid, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(2000, "eur", "20.00 EUR"), (-5, "usd", "-0.05 USD"), (-500, "jpy", "-500 JPY"),
     (1005, "kwd", "1.005 KWD")],
)  # fmt: skip
def test_money_is_shown_in_its_own_digits(amount: int, currency: str, shown: str) -> None:
    assert str(Money(amount, currency)) == shown


def test_money_of_two_currencies_is_not_one_sum() -> None:
    with pytest.raises(TypeError):
        Money(1, "eur") + Money(1, "usd")  # type: ignore[operator]
