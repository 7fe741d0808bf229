"""``POST /v1/checkout``: buy a pack, on a page of Stripe's."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, post
from litestar.params import JSONBody
from msgspec import Meta as Rule
from msgspec import Struct

from domain.errors import NothingForSale, UnknownPack
from handlers.api.openapi import LOCATION, problems
from handlers.api.renderings import Moment, moment
from handlers.api.requests import ApiRequest, IdempotencyKey
from handlers.api.service import Api
from handlers.paying.buying import Checkout, buy
from projections import PURCHASES_VIEW


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """pack: the name of one of ``/v1/packs``."""

    pack: Annotated[str, Rule(min_length=1, max_length=40)]


class CheckoutBody(Struct, frozen=True, kw_only=True):
    """url: send the browser there to pay; null once nobody can any more.

    amount: minor units of currency. expires_at: when the page closes.
    """

    purchase_id: str
    url: str | None
    expires_at: Moment | None
    pack: str
    credits: int
    amount: int
    currency: str
    stream: str
    version: int


@post(
    "/checkout",
    opt={"scope": "billing"},
    response_headers=[LOCATION],
    responses=problems(401, 409, 422, NothingForSale, UnknownPack),
    summary="Buy credits",
    operation_id="checkOut",
    response_description="The purchase, and the page to pay on.",
    tags=["payments"],
)
async def check_out(
    data: JSONBody[Order],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Response[CheckoutBody]:
    """Opens a purchase. The credits come once the money has, which `/v1/purchases` tells: the
    browser may be back before. The same key again: the same purchase.
    """
    user_id = request.user
    purchase_id = service.identified("pur", user_id, "checkout", idempotency_key)
    meta = service.meta(user_id, request.request_id, "checkout", idempotency_key)
    made = await service.pay(buy, service.application, user_id, purchase_id, data.pack, meta)
    service.acknowledged.note(made.position.stream, made.position.version)
    service.project(PURCHASES_VIEW, made.position.stream)
    path = f"/v1/purchases/{purchase_id}"
    return Response(_render(made), status_code=201, headers={"Location": path})


def _render(made: Checkout) -> CheckoutBody:
    agreed, page = made.state.agreed, made.page
    expires = page.expires_at if page else None
    return CheckoutBody(
        purchase_id=agreed.purchase_id,
        url=page.url if page else None,
        expires_at=moment(1000 * expires) if expires else None,
        pack=agreed.pack,
        credits=agreed.credits,
        amount=agreed.amount,
        currency=agreed.currency,
        stream=made.position.stream,
        version=made.position.version,
    )
