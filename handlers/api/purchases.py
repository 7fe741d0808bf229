"""``/v1/purchases``: what a user bought, and whether it is paid."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, Router, get
from litestar.params import FromPath
from msgspec import Meta as Rule
from msgspec import Struct

from domain.purchase import LAPSED, OPEN, PAID, PENDING
from handlers.api.listing import listed
from handlers.api.openapi import problems
from handlers.api.paging import Cursor, Limit, MinVersion, own_stream
from handlers.api.renderings import Moment, moment, moment_or_none
from handlers.api.requests import ApiRequest, known_id
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service
from projections import PURCHASES_VIEW
from projections.purchases import PurchaseView
from projections.query import Versioned

PurchaseStatus = Annotated[str, Rule(extra_json_schema={"enum": [OPEN, PENDING, PAID, LAPSED]})]

PurchaseStream = Annotated[str | None, own_stream("purchase", "pur")]


class Purchase(Struct, frozen=True, kw_only=True):
    """status: open (may be paid), pending (the money is on its way), paid or lapsed.

    amount: minor units of currency, as agreed; taken_back: of it, refunded or held back by the
    payer's bank; revoked: credits that went with it; contested: a bank holds money back now, or
    kept it; why: of one that lapsed, expired or payment_failed; in_question: Stripe told of a
    payment that is not what was agreed, and nothing was granted for that.
    """

    purchase_id: str
    status: PurchaseStatus
    pack: str
    credits: int
    amount: int
    currency: str
    taken_back: int
    revoked: int
    contested: bool
    why: str
    in_question: bool
    opened_at: Moment
    paid_at: Moment | None
    updated_at: Moment
    stream: str
    version: int


class PurchasePage(Struct, frozen=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Purchase]
    cursor: str | None


@get(
    "/",
    opt={"scope": "billing"},
    responses=NOT_MODIFIED | problems(401, 404, 409, 422),
    summary="List purchases",
    operation_id="listPurchases",
    response_description="A page of purchases.",
)
async def list_purchases(
    request: ApiRequest,
    service: Api,
    limit: Limit = 20,
    cursor: Cursor = None,
    stream: PurchaseStream = None,
    min_version: MinVersion = 1,
) -> Response[PurchasePage]:
    """Purchases, newest first. With a command's stream and version, that write is in the list."""
    page = await listed(service, PURCHASES_VIEW, request.user, limit, cursor, stream, min_version)
    return answered(request, PurchasePage([render(item) for item in page.items], page.cursor))


@get(
    "/{purchase_id:str}",
    opt={"scope": "billing"},
    responses=NOT_MODIFIED | problems(401, 404, 409, 422),
    summary="One purchase",
    operation_id="getPurchase",
    response_description="The purchase.",
)
async def show_purchase(
    purchase_id: FromPath[str], request: ApiRequest, service: Api, min_version: MinVersion = 1
) -> Response[Purchase]:
    """Whether it is paid; at least as new as what this process last told."""
    known_id("pur", purchase_id)
    return answered(request, render(await _own(service, request.user, purchase_id, min_version)))


async def _own(
    service: Service, user_id: str, purchase_id: str, min_version: int
) -> Versioned[PurchaseView]:
    return await service.own(PURCHASES_VIEW, f"purchase-{purchase_id}", user_id, min_version)


def render(found: Versioned[PurchaseView]) -> Purchase:
    """A purchase as the API shows it."""
    view, state = found.view, found.view.state
    agreed = state.agreed
    return Purchase(
        purchase_id=agreed.purchase_id,
        status=state.status,
        pack=agreed.pack,
        credits=agreed.credits,
        amount=agreed.amount,
        currency=agreed.currency,
        taken_back=state.taken_back,
        revoked=state.revoked,
        contested=state.contested,
        why=view.why,
        in_question=bool(state.questions),
        opened_at=moment(view.opened_at),
        paid_at=moment_or_none(view.paid_at),
        updated_at=moment(view.updated_at),
        stream=found.stream,
        version=found.version,
    )


PURCHASES = Router("/purchases", route_handlers=[list_purchases, show_purchase], tags=["payments"])
