"""Credits for money on a whole stack: bought, spent, refunded, owed, settled, and proved."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import stripe

from commands import AdjustCredits, execute
from domain.commit import Meta
from infra.bootstrap import Application
from infra.local.stack import LocalStack, adopted
from infra.local.stripe import control
from infra.settings import from_environment
from tests.e2e.browser import PATIENCE, Browser, Json

SignIn = Callable[..., Browser]


def until(browser: Browser, path: str, good: Callable[[Json], bool]) -> Json:
    """The answer once it is good: money is told of by webhooks, which take their time."""
    give_up = time.monotonic() + PATIENCE
    while not good(seen := browser.get(path)):
        assert time.monotonic() < give_up, f"still {seen}"
        time.sleep(0.05)
    return seen


def balance(browser: Browser, **wanted: int) -> Json:
    """The account once it says that."""
    return until(browser, "/v1/credits", lambda seen: {k: seen[k] for k in wanted} == wanted)


def bought(browser: Browser, pack: str, how: control.How = "card") -> Json:
    """A purchase, paid at the stand-in."""
    opened = browser.post("/v1/checkout", {"pack": pack})
    control.pay(opened["url"], how)
    path = f"/v1/purchases/{opened['purchase_id']}"
    return until(browser, path, lambda seen: seen["status"] in ("paid", "lapsed"))


def at_stripe(stack: LocalStack) -> Any:
    """Stripe as the real SDK reads it."""
    environment = stack.environment
    return stripe.StripeClient(
        environment["SPLITSOUND_STRIPE_API_KEY"],
        base_addresses={"api": environment["SPLITSOUND_STRIPE_API_BASE"]},
    ).v1


def the_charge(stack: LocalStack, purchase: Json) -> Any:
    """Stripe's record of the purchase."""
    charges = at_stripe(stack).charges.list({"limit": 100}).auto_paging_iter()
    (charge,) = (c for c in charges if c.metadata["purchase_id"] == purchase["purchase_id"])
    return charge


def test_a_song_is_paid_with_bought_credits_and_a_refund_leaves_a_debt(
    stack: LocalStack, sign_in: SignIn, song: bytes
) -> None:
    assert stack.stand_ins.payments is not None
    desk = stack.stand_ins.payments.url
    ann = sign_in()
    assert [p["name"] for p in ann.get("/v1/packs")["items"]] == ["hour", "album", "studio"]
    first = bought(ann, "hour")
    assert (first["status"], first["credits"], first["amount"]) == ("paid", 3600, 390)
    balance(ann, available=4200, granted=4200)

    asset = ann.upload(song)
    ann.probed(asset)
    quote = ann.post("/v1/quotes", {"asset_id": asset})
    told = {"price": quote["price"], "price_list": quote["price_list"]}
    job = ann.ended(ann.separate(asset, quote=told))
    assert (job["status"], job["price"]) == ("completed", 6)
    stale = ann.http.post(
        "/v1/jobs", json={"asset_id": asset, "quote": told | {"price": 5}, "reuse": False}
    )
    assert (stale.status_code, stale.json()["code"]) == (409, "price_changed")

    # The gift goes first to nobody: what is refunded takes the purchase, then the rest, then owes.
    charge = the_charge(stack, first)
    control.refund(desk, charge.id, 190)
    partly = balance(ann, revoked=3600 * 190 // 390)
    assert (partly["debt"], partly["available"]) == (0, 4200 - 6 - 1753)
    control.refund(desk, charge.id)
    balance(ann, revoked=3600, available=594, debt=0)

    lines = ann.get("/v1/credits/history", limit=100)["items"]
    assert [line["kind"] for line in reversed(lines)] == [
        "grant", "grant", "reserve", "capture", "revoke", "revoke",
    ]  # fmt: skip
    assert {line["purchase_id"] for line in lines if line["kind"] == "revoke"} == {
        first["purchase_id"]
    }


def test_spent_money_that_a_bank_takes_back_is_owed_until_the_next_purchase(
    stack: LocalStack, sign_in: SignIn
) -> None:
    assert stack.stand_ins.payments is not None
    desk = stack.stand_ins.payments.url
    bob = sign_in("bob")
    paid = bought(bob, "hour")
    balance(bob, available=4200)
    with adopted(stack.environment):
        context = Application(from_environment(), "test").context
        execute(context, AdjustCredits(bob.user, -4150, "spent elsewhere"), Meta("cmd_t", "test"))

    payment = the_charge(stack, paid).payment_intent
    control.dispute(desk, payment)
    owing = balance(bob, revoked=4150 + 3600, available=0)
    assert owing["debt"] == 3550
    seen = bob.get(f"/v1/purchases/{paid['purchase_id']}")
    assert (seen["contested"], seen["revoked"], seen["taken_back"]) == (True, 3600, 390)
    assert bought(bob, "hour")["status"] == "paid"
    balance(bob, available=50, debt=0)
    (dispute,) = at_stripe(stack).disputes.list({"payment_intent": payment}).data
    control.close_dispute(desk, dispute.id, won=True)
    balance(bob, available=3650, debt=0)
