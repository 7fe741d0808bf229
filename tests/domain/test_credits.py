"""Conservation: granted = available + reserved + captured + expired, at every version."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import credits
from domain.aggregate import Event
from domain.credits import CREDITS, CreditsGranted, CreditState, Draw
from domain.errors import NotEnoughCredits

NEVER = 1 << 60
Step = tuple[str, int, int]


def conserved(state: CreditState) -> bool:
    left = sum(g.left for g in state.grants.values())
    held = sum(g.held for g in state.grants.values())
    return (
        held == state.reserved
        and min((g.left for g in state.grants.values()), default=0) >= 0
        and state.granted == left + held + state.captured + state.expired
    )


def account(*grants: CreditsGranted) -> CreditState:
    return CREDITS.fold(grants)


def grant(
    name: str, amount: int, expires: int | None = None, priority: int = 100
) -> CreditsGranted:
    return CreditsGranted("u", name, "purchase", amount, expires, priority)


def decide(state: CreditState, step: Step, now: int) -> list[Event]:
    kind, number, amount = step
    match kind:
        case "grant":
            expires = now + amount if number % 2 else None
            return credits.grant(state, grant(f"g{state.grants_made}", amount, expires, number))
        case "reserve":
            with suppress(NotEnoughCredits):
                return credits.reserve(state, f"j{number}", amount, now)
            return []
        case "capture":
            return credits.capture(state, f"j{number}", amount)
        case "release":
            return credits.release(state, f"j{number}", "test")
    return credits.expire(state, now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grant", "reserve", "capture", "release", "expire"]),
        st.integers(0, 5),
        st.integers(0, 100),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(STEPS, st.integers(0, 50))
def test_credits_are_conserved_at_every_version(steps: list[Step], pace: int) -> None:
    state, history = CREDITS.state(), []
    for now, step in enumerate(steps):
        for event in decide(state, step, now * pace):
            history.append(event)
            state = CREDITS.fold([event], state)
            assert conserved(state)
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
    (captured,) = credits.capture(state, "j", 7)
    assert isinstance(captured, credits.CreditsCaptured)
    assert captured.amount == 7
    assert captured.draws == (Draw("a", 4), Draw("b", 3))
    assert captured.returned == (Draw("b", 3),)
    state = CREDITS.fold([captured], state)
    assert (state.available(0), state.reserved, state.captured) == (7, 0, 7)
    assert credits.capture(state, "j", 7) == []


def test_an_expired_grant_pays_nothing_but_its_holds_stay() -> None:
    state = account(grant("brief", 10, expires=100))
    state = CREDITS.fold(credits.reserve(state, "j", 6, now=99), state)
    assert state.available(now=100) == 0
    state = CREDITS.fold(credits.expire(state, now=100), state)
    assert (state.reserved, state.expired) == (6, 4)
    state = CREDITS.fold(credits.capture(state, "j", 6), state)
    assert state.captured == 6
    assert state.grants == {}


def test_refuses_what_the_account_cannot_cover() -> None:
    with pytest.raises(NotEnoughCredits) as refused:
        credits.reserve(account(grant("g", 9)), "j", 10, now=NEVER)
    assert refused.value.extra == {"required": 10, "available": 9}


def test_a_job_reserves_once() -> None:
    state = account(grant("g", 30))
    state = CREDITS.fold(credits.reserve(state, "j", 10, now=0), state)
    assert credits.reserve(state, "j", 10, now=0) == []
    assert credits.release(state, "other", "never held") == []
