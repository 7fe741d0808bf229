"""Purchases through commands: what a dispute, an expiry and a repetition do to an account."""

from __future__ import annotations

import pytest

from commands import AdjustCredits, NoteDispute, OpenCheckout, RecordPayment
from domain.credits import CREDITS, CreditState
from domain.errors import KeyReused
from domain.packs import Pack
from domain.purchase import DAY_MS, Claim, Payment
from tests.world import World

PACK = Pack("brief", "A day", 1000, 390, "eur", expires_days=1)


def account(world: World) -> CreditState:
    state: CreditState = world.store.load(CREDITS, CREDITS.stream("u")).state
    assert state.balanced
    return state


def bought() -> World:
    world = World(grant=10)
    world.sign_up()
    world.do(OpenCheckout("u", "pur_1", "cs_1", PACK))
    world.do(RecordPayment("pur_1", Payment("cs_1", "u", "pi_1", 390, "eur")))
    return world


def dispute(world: World, status: str) -> None:
    world.do(NoteDispute("pur_1", "dp_1", Claim(390, status)))


def test_a_dispute_that_is_won_gives_back_what_lasts_as_long_as_before() -> None:
    world = bought()
    ends = world.clock.time + DAY_MS
    dispute(world, "needs_response")
    assert account(world).available(world.clock.time) == 10
    dispute(world, "won")
    assert account(world).available(ends - 1000) == 1010
    assert account(world).available(ends) == 10


def test_expired_credits_do_not_come_back_by_a_dispute() -> None:
    world = bought()
    world.clock.time += 2 * DAY_MS
    dispute(world, "needs_response")
    assert account(world).debt == 0
    dispute(world, "won")
    assert account(world).available(world.clock.time) == 10


def test_an_adjustment_under_one_key_says_one_thing() -> None:
    world = bought()
    give = AdjustCredits("u", 50, "for waiting")
    world.do(give, "cmd_1")
    world.do(give, "cmd_1")
    assert account(world).granted == 1060
    with pytest.raises(KeyReused):
        world.do(AdjustCredits("u", 50, "for waiting", "promotion"), "cmd_1")
    take = AdjustCredits("u", -5, "given twice", "promotion")
    world.do(take, "cmd_2")
    world.do(take, "cmd_2")
    assert account(world).revoked == 5
