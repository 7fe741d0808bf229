"""Conservation at every version, whatever happens to an account; and who pays first."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import credits
from domain.aggregate import Event
from domain.credits import (
    CREDITS,
    CreditsGranted,
    CreditsRevoked,
    CreditState,
    DebtSettled,
)
from domain.draws import Draw
from domain.errors import Invalid, NotEnoughCredits, Refused

NEVER = 1 << 60
Step = tuple[str, int, int]


def conserved(state: CreditState, now: int) -> bool:
    """The law; and no grant below zero; and nobody has both a debt and credits to spend."""
    held = sum(g.held for g in state.grants.values())
    return (
        state.balanced
        and held == state.reserved
        and all(g.left >= 0 and g.held >= 0 for g in state.grants.values())
        and min(state.debt, state.available(now)) == 0
    )


def account(*grants: CreditsGranted) -> CreditState:
    return CREDITS.fold(grants)


def grant(
    name: str, amount: int, expires: int | None = None, priority: int = 100
) -> CreditsGranted:
    return CreditsGranted("u", name, "purchase", amount, expires, priority)


def taken(amount: int) -> CreditsRevoked:
    return CreditsRevoked("u", "refund", amount, ())


def decide(state: CreditState, step: Step, now: int) -> list[Event]:
    kind, number, amount = step
    match kind:
        case "grant":
            expires = now + amount if number % 2 else None
            given = grant(f"g{state.grants_made}", amount, expires, number)
            return credits.grant(state, given, now)
        case "revoke":
            return credits.revoke(state, taken(amount), f"g{number}", now)
        case "take_away":
            with suppress(Refused):
                return credits.take_away(state, taken(amount), now)
            return []
        case "reserve":
            with suppress(NotEnoughCredits):
                return credits.reserve(state, f"j{number}", amount, now)
            return []
        case "capture":
            return credits.capture(state, f"j{number}", amount, now)
        case "release":
            return credits.release(state, f"j{number}", "test", now)
    return credits.expire(state, now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "grant",
                "reserve",
                "capture",
                "release",
                "expire",
                "revoke",
                "take_away",
            ]
        ),
        st.integers(0, 5),
        st.integers(1, 100),
    ),
    max_size=60,
)


@settings(max_examples=3000)
@given(STEPS, st.integers(0, 50))
def test_credits_are_conserved_at_every_version(steps: list[Step], pace: int) -> None:
    state, history = CREDITS.state(), []
    for now, step in enumerate(steps):
        for event in decide(state, step, now * pace):
            history.append(event)
            state = CREDITS.fold([event], state)
            assert state.balanced
        # What is decided together is committed together: in between a debt may meet credits.
        assert conserved(state, now * pace)
    assert CREDITS.fold(history) == state
    assert CREDITS.restore(CREDITS.snapshot(state)) == state


def test_burns_by_priority_then_expiry_then_age() -> None:
    state = account(
        grant("old", 5), grant("late", 5, expires=900), grant("soon", 5, expires=500),
        grant("first", 5, priority=1),
    )  # fmt: skip
    (held,) = credits.reserve(state, "j", 18, now=0)
    assert isinstance(held, credits.CreditsReserved)
    assert held.draws == (Draw("first", 5), Draw("soon", 5), Draw("late", 5), Draw("old", 3))


def test_captures_at_most_what_is_held_and_returns_the_rest() -> None:
    state = account(grant("a", 4), grant("b", 10))
    state = CREDITS.fold(credits.reserve(state, "j", 10, now=0), state)
    (captured,) = credits.capture(state, "j", 7, now=0)
    assert isinstance(captured, credits.CreditsCaptured)
    assert captured.amount == 7
    assert captured.draws == (Draw("a", 4), Draw("b", 3))
    assert captured.returned == (Draw("b", 3),)
    state = CREDITS.fold([captured], state)
    assert (state.available(0), state.reserved, state.captured) == (7, 0, 7)
    assert credits.capture(state, "j", 7, now=0) == []


def test_an_expired_grant_pays_nothing_but_its_holds_stay() -> None:
    state = account(grant("brief", 10, expires=100))
    state = CREDITS.fold(credits.reserve(state, "j", 6, now=99), state)
    assert state.available(now=100) == 0
    state = CREDITS.fold(credits.expire(state, now=100), state)
    assert (state.reserved, state.expired) == (6, 4)
    state = CREDITS.fold(credits.capture(state, "j", 6, now=200), state)
    assert state.captured == 6
    assert state.grants == {}


def test_refuses_what_the_account_cannot_cover() -> None:
    with pytest.raises(NotEnoughCredits) as refused:
        credits.reserve(account(grant("g", 9)), "j", 10, now=NEVER)
    assert refused.value.extra == {"required": 10, "available": 9, "debt": 0, "missing": 1}


def test_a_job_reserves_once() -> None:
    state = account(grant("g", 30))
    state = CREDITS.fold(credits.reserve(state, "j", 10, now=0), state)
    assert credits.reserve(state, "j", 10, now=0) == []
    assert credits.release(state, "other", "never held", now=0) == []


def test_what_was_spent_of_a_payment_that_went_back_is_a_debt_that_the_next_one_settles() -> None:
    state = account(grant("bought", 100), grant("given", 30))
    state = CREDITS.fold(credits.reserve(state, "j", 90, now=0), state)
    state = CREDITS.fold(credits.revoke(state, taken(100), "bought", now=0), state)
    assert (state.available(0), state.reserved, state.revoked, state.debt) == (0, 90, 100, 60)
    with pytest.raises(NotEnoughCredits, match="60 are owed") as refused:
        credits.reserve(state, "k", 10, now=0)
    assert refused.value.extra["missing"] == 70
    released = credits.release(state, "j", "cancelled", now=0)
    assert released[1] == DebtSettled("u", 60, (Draw("bought", 60),))
    state = CREDITS.fold(released, state)
    assert (state.available(0), state.debt, state.balanced) == (30, 0, True)


def test_a_grant_to_a_debtor_settles_first_and_an_expired_one_settles_nothing() -> None:
    state = account(grant("a", 10))
    state = CREDITS.fold(credits.revoke(state, taken(25), "a", now=0), state)
    over = credits.grant(state, grant("late", 9, expires=5), now=5)
    assert [type(e) for e in over] == [CreditsGranted]
    state = CREDITS.fold(credits.grant(state, grant("b", 40), now=5), state)
    assert (state.available(5), state.debt) == (25, 0)


def test_a_refund_takes_its_own_purchase_before_other_credits() -> None:
    state = account(grant("gift", 50, priority=1), grant("bought", 50))
    (revoked,) = credits.revoke(state, taken(70), "bought", now=0)
    assert isinstance(revoked, CreditsRevoked)
    assert revoked.draws == (Draw("bought", 50), Draw("gift", 20))


@pytest.mark.parametrize("noted", [True, False])
def test_nobody_owes_what_expired_unspent_before_the_money_went_back(noted: bool) -> None:
    state = account(grant("gift", 50), grant("bought", 100, expires=10))
    state = CREDITS.fold(credits.reserve(state, "j", 30, now=0), state)
    if noted:
        state = CREDITS.fold(credits.expire(state, now=10), state)
    state = CREDITS.fold(credits.revoke(state, taken(100), "bought", now=10), state)
    # 30 are held, 70 had expired: those are revoked instead, the held ones out of the gift.
    assert (state.expired, state.revoked, state.debt, state.available(10)) == (0, 100, 0, 20)
    assert (state.lapsed, state.balanced) == ({}, True)


def test_an_adjustment_takes_no_more_than_there_is() -> None:
    state = account(grant("a", 10), grant("brief", 5, expires=100))
    with pytest.raises(Refused, match="10 credits to take, not 11"):
        credits.take_away(state, taken(11), now=100)


@pytest.mark.parametrize("amount", [0, -1, 10**9 + 1, 1.5, True, "7", None])
def test_only_whole_positive_amounts_of_a_sane_size_move(amount: object) -> None:
    state = account(grant("g", 100))
    bad: int = amount  # type: ignore[assignment]  # what a broken caller might send
    with pytest.raises(Invalid, match="whole number"):
        credits.grant(state, grant("h", bad), now=0)
    with pytest.raises(Invalid, match="whole number"):
        credits.reserve(state, "j", bad, now=0)
    with pytest.raises(Invalid, match="whole number"):
        credits.revoke(state, taken(bad), "g", now=0)
