"""Where an account at Stripe sends its events."""

from __future__ import annotations

from msgspec import Struct

from infra.payments.failures import translated
from infra.payments.gateway import connected
from infra.payments.objects import Word, read

CONSUMED = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
"""The types of events that an endpoint of ours has to be sent."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """One endpoint. status: enabled or disabled. enabled_events: types, or ``*`` for all."""

    url: str
    status: Word = ""
    enabled_events: list[str] = []

    @property
    def unsent(self) -> list[str]:
        """What it would have to be sent and is not."""
        return [] if "*" in self.enabled_events else sorted(CONSUMED - {*self.enabled_events})


def endpoints(api_key: str, base: str = "") -> list[Endpoint]:
    """All of the account's. Raises Unavailable, Invalid."""
    with translated():
        listed = connected(api_key, base).webhook_endpoints.list({"limit": 100})
        return [read(Endpoint, each.to_dict()) for each in listed.auto_paging_iter()]
