"""``GET /v1/packs``: what is sold."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from handlers.api.service import Api


class PackBody(Struct, frozen=True, kw_only=True):
    """credits at a price. amount: minor units of currency; price: the same for people.

    expires_days: how long the credits last; null: for ever.
    """

    name: str
    title: str
    credits: int
    amount: int
    currency: str
    price: str
    expires_days: int | None


class PackList(Struct, frozen=True):
    """items: empty where nothing is sold."""

    items: list[PackBody]


@get(
    "/packs",
    summary="What is sold",
    operation_id="listPacks",
    response_description="Packs of credits.",
    tags=["payments"],
)
async def show_packs(service: Api) -> PackList:
    """Packs of credits and their prices. Needs no token."""
    sold = service.application.packs.values()
    return PackList(
        [
            PackBody(
                name=pack.name,
                title=pack.title,
                credits=pack.credits,
                amount=pack.amount,
                currency=pack.currency,
                price=str(pack.money),
                expires_days=pack.expires_days,
            )
            for pack in sold
        ]
    )
