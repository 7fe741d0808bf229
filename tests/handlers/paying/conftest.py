"""A shop without its HTTP API: commands, Stripe's stand-in, and its events by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from commands import SignUp, execute
from domain.commit import Meta
from domain.credits import CREDITS, CreditState
from domain.purchase import PURCHASE, PurchaseState
from handlers.paying import notices
from handlers.paying.buying import Checkout, buy, shop
from infra.bootstrap import Application
from tests.handlers.api.till import Till, signed, standing_in


class Shop(Struct, frozen=True):
    """One user who buys."""

    application: Application
    till: Till
    user_id: str

    def open(self, pack: str = "hour", purchase_id: str = "") -> Checkout:
        """A purchase with its page."""
        ids = self.application.ids
        meta = Meta(ids.fresh("cmd"), self.user_id)
        return buy(self.application, self.user_id, purchase_id or ids.fresh("pur"), pack, meta)

    def pay(self, made: Checkout, how: Any = "card") -> str:
        """Somebody pays; the payment's id. Nothing is told."""
        assert made.page is not None
        paid: str = self.till.pay(str(made.page.url), how)["payment_intent"]
        return paid

    def tell(self, *events: dict[str, Any]) -> None:
        """What the webhook does with them."""
        payments = shop(self.application)
        for each in events:
            body, headers = signed(msgspec.json.encode(each))
            event = payments.event(body, headers["Stripe-Signature"])
            if command := notices.command(event, payments):
                execute(self.application.context, command, notices.meta(event, "req_test"))

    def purchase(self, made: Checkout) -> PurchaseState:
        """As it stands."""
        state: PurchaseState = self.application.store.load(PURCHASE, made.position.stream).state
        return state

    @property
    def account(self) -> CreditState:
        """The user's."""
        state: CreditState = self.application.store.load(
            CREDITS, CREDITS.stream(self.user_id)
        ).state
        assert state.balanced
        return state


@pytest.fixture
def buyer(application: Application, tmp_path: Path) -> Iterator[Shop]:
    """A user with 600 credits, in a cloud and at a Stripe of their own."""
    with standing_in(tmp_path / "stripe") as till:
        selling = Application(replace(application.settings, **till.settings()), "test")
        user_id = selling.ids.fresh("usr")
        signing = SignUp(user_id, "development", "buyer@example.org")
        execute(selling.context, signing, Meta(selling.ids.fresh("cmd"), user_id))
        yield Shop(selling, till, user_id)
