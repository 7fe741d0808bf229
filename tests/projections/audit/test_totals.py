"""Where an account's credits are, by source, whatever happened to them."""

from __future__ import annotations

from domain import credits
from domain.aggregate import Event
from domain.credits import CREDITS, CreditsGranted, CreditsRevoked
from projections.audit.totals import AccountTally


def tally_of(events: list[Event]) -> AccountTally:
    tally = AccountTally()
    for event in events:
        assert tally.take(event) == ""
    return tally


def test_each_source_adds_up_when_expired_credits_are_revoked_and_a_debt_is_settled() -> None:
    state, events = CREDITS.state(), list[Event]()

    def happen(decided: list[Event]) -> None:
        nonlocal state
        events.extend(decided)
        state = CREDITS.fold(decided, state)

    bought = CreditsGranted("u", "g1", "purchase", 100, 10, purchase_id="p1")
    happen(credits.grant(state, bought, 0))
    happen(credits.grant(state, CreditsGranted("u", "g2", "signup", 20), 0))
    happen(credits.reserve(state, "j", 60, 0))
    happen(credits.capture(state, "j", 60, 0))
    happen(credits.expire(state, 10))
    back = CreditsRevoked("u", "refund", 100, (), purchase_id="p1")
    happen(credits.revoke(state, back, "g1", 10))
    again = CreditsGranted("u", "g3", "purchase", 50, purchase_id="p2")
    happen(credits.grant(state, again, 10))

    totals = tally_of(events).totals()
    assert all(where.off == 0 for where in totals.sources.values())
    bought_ones = totals.sources["purchase"]
    assert (bought_ones.granted, bought_ones.captured, bought_ones.expired) == (150, 60, 0)
    assert (bought_ones.taken_back, bought_ones.settled, bought_ones.available) == (40, 40, 10)
    assert (totals.debt, state.balanced) == (0, True)
