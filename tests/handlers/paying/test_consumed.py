"""What doctor wants Stripe to send is what we act upon."""

from __future__ import annotations

from handlers.paying import notices
from infra.payments.endpoints import CONSUMED

# Stripe's older name for refund.updated, which it still sends to older endpoints.
OLDER = {"charge.refund.updated"}


def test_every_type_that_is_acted_upon_is_wanted() -> None:
    disputes = {name for name in CONSUMED if name.startswith("charge.dispute.")}
    acted = {*notices._SESSION_EVENTS, *notices._REFUND_EVENTS, "charge.refunded"} - OLDER
    assert acted | disputes == CONSUMED
